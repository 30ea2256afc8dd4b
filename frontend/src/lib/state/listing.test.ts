import { expect, it } from 'vitest';
import type { Answer } from '../api/client';
import { Listing } from './listing.svelte';

interface Thing {
  id: string;
}

function page(ids: string[], next: string | null, total: number): Answer<Thing[]> {
  const headers = new Headers(next ? { link: `<${next}>; rel="next"` } : {});
  return { data: ids.map((id) => ({ id })), seq: 1, logId: 'log', total, headers };
}
const idsOf = (listing: Listing<Thing>) => listing.items.map(({ id }) => id);

it('goes on behind its newest page, and shows nothing twice when that is read anew', async () => {
  const firsts = [page(['c', 'b'], '/2', 3), page(['d', 'c', 'b'], '/2', 4)];
  const asked: string[] = [];
  const listing = new Listing<Thing>(
    async () => firsts.shift() ?? page([], null, 0),
    async (path) => {
      asked.push(path);
      return page(['a'], null, 3);
    },
  );
  await listing.load();
  expect([idsOf(listing), listing.total, listing.hasMore]).toEqual([['c', 'b'], 3, true]);
  await listing.more();
  await listing.more();
  expect([idsOf(listing), listing.hasMore, asked]).toEqual([['c', 'b', 'a'], false, ['/2']]);
  await listing.load();
  expect(idsOf(listing)).toEqual(['d', 'c', 'b', 'a']);
});

it('leaves out what comes late of the question before', async () => {
  let answer: (value: Answer<Thing[]>) => void = () => {};
  const listing = new Listing<Thing>(
    async () => page(['b'], '/2', 2),
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  await listing.load();
  const late = listing.more();
  listing.restart();
  answer(page(['a'], null, 2));
  await late;
  expect([idsOf(listing), listing.isLoadingMore]).toEqual([['b'], false]);
});
