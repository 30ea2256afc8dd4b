import { describe, expect, it } from 'vitest';
import { filtersOf, isNarrowed, queryOf, searchOf } from './query';

const search = (text: string) => searchOf(new URLSearchParams(text));

describe('a search in the address', () => {
  it('is asked as it is written', () => {
    const query = queryOf(search('q=deploy&status=failed,done&desktop=desk_1&label=ci&mine=1'), 'key_mia', 0);
    expect(query).toMatchObject({
      q: 'deploy',
      status: 'done,failed',
      desktopId: 'desk_1',
      label: 'ci',
      createdBy: 'key_mia',
    });
  });

  it('takes spans back from now, and moments', () => {
    expect(queryOf(search('since=1h'), null, 3_600_000).since).toBe('1970-01-01T00:00:00.000Z');
    expect(queryOf(search('since=2026-01-01T00:00:00Z'), null, 0).since).toBe('2026-01-01T00:00:00Z');
  });

  it('is by the end only for what has one', () => {
    expect(queryOf(search('order=ended&status=failed'), null, 0).order).toBe('ended');
    expect(queryOf(search('order=ended&status=failed,running'), null, 0).order).toBe('created');
  });

  it('drops what it does not know', () => {
    expect(search('status=sleeping&type=dream&order=up')).toMatchObject({ statuses: [], type: '', order: 'created' });
    expect(isNarrowed(search('order=ended'))).toBe(false);
    expect(isNarrowed(search('label=ci'))).toBe(true);
  });

  it('counts its filters, several statuses as one', () => {
    expect(filtersOf(search('q=deploy&order=ended&batch=batch_1'))).toBe(0);
    expect(filtersOf(search('status=done,failed&mine=1&since=24h'))).toBe(3);
    expect(filtersOf(search('type=prompt&desktop=desk_1&label=ci'))).toBe(3);
  });
});
