import { describe, expect, it } from 'vitest';
import { routeOf, withQuery } from './router';

describe('addresses', () => {
  it('name the screens', () => {
    expect(routeOf('/')).toEqual({ name: 'board' });
    expect(routeOf('/tasks/task_1')).toEqual({ name: 'task', id: 'task_1' });
    expect(routeOf('/approvals')).toEqual({ name: 'approvals' });
    expect(routeOf('/desktops')).toEqual({ name: 'desktops' });
    expect(routeOf('/desktops/desk_1/')).toEqual({ name: 'desktop', id: 'desk_1' });
    expect(routeOf('/approvals/task_1')).toEqual({ name: 'approvals', taskId: 'task_1' });
    expect(routeOf('/overview')).toEqual({ name: 'overview' });
    expect(routeOf('/batches')).toEqual({ name: 'batches' });
    expect(routeOf('/batches/batch_1')).toEqual({ name: 'batch', id: 'batch_1' });
    expect(routeOf('/search')).toEqual({ name: 'search' });
    expect(routeOf('/settings')).toEqual({ name: 'settings' });
    expect(routeOf('/reference')).toEqual({ name: 'reference' });
  });

  it('that lead nowhere say so', () => {
    expect(routeOf('/nope')).toEqual({ name: 'unknown', path: '/nope' });
    expect(routeOf('/tasks/a/b')).toEqual({ name: 'unknown', path: '/tasks/a/b' });
  });

  it('survive a broken percent sign', () => {
    expect(routeOf('/tasks/%E0%A4%A')).toEqual({ name: 'task', id: '%E0%A4%A' });
  });

  it('keep what they have when one filter changes', () => {
    const url = new URL('http://here/?q=deploy&desktop=desk_1#L5');
    expect(withQuery(url, { q: 'test' })).toBe('/?q=test&desktop=desk_1#L5');
    expect(withQuery(url, { q: null, desktop: '' })).toBe('/#L5');
  });
});
