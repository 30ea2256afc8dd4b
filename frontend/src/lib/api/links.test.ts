import { describe, expect, it } from 'vitest';
import { nextLink } from './links';

describe('the next page', () => {
  it('is where the Link header says', () => {
    expect(nextLink('</api/mission-control/tasks?before=task_1&limit=50>; rel="next"')).toBe(
      '/api/mission-control/tasks?before=task_1&limit=50',
    );
    expect(nextLink('<http://host:1/a?b=1>; rel="prev", <http://host:1/a?b=2>; rel="next"')).toBe('/a?b=2');
    expect(nextLink(null)).toBeNull();
    expect(nextLink('<x>; rel="prev"')).toBeNull();
  });
});
