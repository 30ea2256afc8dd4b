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

it('has no gap where new items push others out of its newest page', async () => {
  const firsts = [page(['d', 'c'], '/2', 4), page(['f', 'e'], '/2', 6)];
  firsts.splice(1, 0, page(['e', 'd'], '/2', 5));
  const listing = new Listing<Thing>(
    async () => firsts.shift() ?? page([], null, 0),
    async () => page(['b', 'a'], null, 4),
  );
  await listing.load();
  await listing.more();
  await listing.load();
  expect(idsOf(listing)).toEqual(['e', 'd', 'c', 'b', 'a']);
  await listing.load();
  expect(idsOf(listing)).toEqual(['f', 'e', 'd', 'c', 'b', 'a']);
});

it('begins anew where so much came that the pages do not join', async () => {
  const firsts = [page(['d', 'c'], '/2', 4), page(['z', 'y'], '/3', 30)];
  const listing = new Listing<Thing>(
    async () => firsts.shift() ?? page([], null, 0),
    async () => page(['b', 'a'], null, 4),
  );
  await listing.load();
  await listing.more();
  await listing.load();
  expect([idsOf(listing), listing.hasMore]).toEqual([['z', 'y'], true]);
});

it('asks for nothing behind the answer to the question before', async () => {
  const asked: string[] = [];
  const listing = new Listing<Thing>(
    async () => page(['b'], '/2', 2),
    async (path) => {
      asked.push(path);
      return page(['a'], null, 2);
    },
  );
  await listing.load();
  listing.restart();
  await listing.more();
  expect([idsOf(listing), listing.hasMore, asked]).toEqual([['b'], false, []]);
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
