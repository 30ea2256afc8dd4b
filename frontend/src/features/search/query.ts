// The search in the address, and the same search as the server takes it. Pure.
import type { Query } from '../../lib/api/client';
import type { TaskStatus, TaskType } from '../../lib/api/types';
import { isFinished, STATUSES } from '../../lib/live/fold';

export interface Search {
  text: string;
  statuses: TaskStatus[];
  type: '' | TaskType;
  desktopId: string;
  label: string;
  batchId: string;
  /** Id of a task: those that ask the same. */
  sameAs: string;
  isMine: boolean;
  /** RFC 3339, or a span back from now such as `24h`. */
  since: string;
  until: string;
  /** By their end; else by their creation. */
  order: 'created' | 'ended';
}

export const SPANS = [
  { value: '1h', label: 'Last hour', ms: 3_600_000 },
  { value: '24h', label: 'Last 24 hours', ms: 86_400_000 },
  { value: '7d', label: 'Last 7 days', ms: 7 * 86_400_000 },
  { value: '30d', label: 'Last 30 days', ms: 30 * 86_400_000 },
] as const;

export function searchOf(params: URLSearchParams): Search {
  const read = (name: string) => params.get(name) ?? '';
  const type = read('type');
  const asked = read('status').split(',');
  return {
    text: read('q'),
    statuses: STATUSES.filter((status) => asked.includes(status)),
    type: type === 'prompt' || type === 'command' ? type : '',
    desktopId: read('desktop'),
    label: read('label'),
    batchId: read('batch'),
    sameAs: read('same'),
    isMine: read('mine') === '1',
    since: read('since'),
    until: read('until'),
    order: read('order') === 'ended' ? 'ended' : 'created',
  };
}

/** What to ask the server; `me` is the actor's id of whoever asks. Only what is over has an end. */
export function queryOf(search: Search, me: string | null, now: number): Query {
  const span = SPANS.find(({ value }) => value === search.since);
  const isByEnd =
    search.order === 'ended' && (search.statuses.length === 0 || search.statuses.every((status) => isFinished(status)));
  return {
    q: search.text,
    status: search.statuses.join(','),
    type: search.type,
    desktopId: search.desktopId,
    label: search.label,
    batchId: search.batchId,
    sameAs: search.sameAs,
    createdBy: search.isMine ? me : '',
    since: span ? new Date(now - span.ms).toISOString() : search.since,
    until: search.until,
    order: isByEnd ? 'ended' : 'created',
  };
}

/** How many filters are set that a person can set, beside the text. */
export const filtersOf = (search: Search): number =>
  [search.statuses.length, search.type, search.desktopId, search.label, search.isMine, search.since].filter(Boolean)
    .length;

export const isNarrowed = (search: Search): boolean =>
  filtersOf(search) > 0 || !!(search.text || search.batchId || search.sameAs || search.until);
