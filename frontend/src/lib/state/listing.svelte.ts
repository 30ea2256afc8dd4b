// A list that the server gives in pages: the newest is kept fresh, further ones are read when somebody asks for them.
import { untrack } from 'svelte';
import type { Answer } from '../api/client';
import { nextLink } from '../api/links';
import type { Problem } from '../api/types';
import { Reading } from './reading.svelte';

interface Page<T> {
  items: T[];
  total: number;
  next: string | null;
  /** Which question it answers. */
  question: number;
}

export class Listing<T extends { id: string }> {
  readonly #newest: Reading<Page<T>>;
  readonly #read: (path: string) => Promise<Answer<T[]>>;
  #older = $state.raw<{ items: T[]; next: string | null } | null>(null);
  #isLoadingMore = $state(false);
  #question = $state(0);
  readonly #items = $derived.by(() => {
    const first = this.#newest.data?.items ?? [];
    const known = new Set(first.map(({ id }) => id));
    return [...first, ...(this.#older?.items ?? []).filter(({ id }) => !known.has(id))];
  });

  /** `first` reads the newest page, `further` the one that a link of the page before leads to. */
  constructor(first: (signal: AbortSignal) => Promise<Answer<T[]>>, further: (path: string) => Promise<Answer<T[]>>) {
    this.#read = further;
    this.#newest = new Reading(async (signal) => {
      const question = untrack(() => this.#question);
      const { data, total, headers } = await first(signal);
      if (!signal.aborted && question === this.#question) this.#keepPushedOut(data);
      return { items: data, total: total ?? data.length, next: nextLink(headers.get('link')), question };
    });
  }

  /** What was read so far, newest first. */
  get items(): T[] {
    return this.#items;
  }

  /** How many there are in all; null until that is known. */
  get total(): number | null {
    return this.#newest.data?.total ?? null;
  }

  get hasMore(): boolean {
    return this.#next !== null;
  }

  get isRead(): boolean {
    return this.#newest.data !== null;
  }

  get isLoading(): boolean {
    return this.#newest.isLoading;
  }

  get isLoadingMore(): boolean {
    return this.#isLoadingMore;
  }

  /** Why the newest page could not be read; null when it could. */
  get problem(): Problem | null {
    return this.#newest.problem;
  }

  get #next(): string | null {
    const newest = this.#newest.data;
    if (newest?.question !== this.#question) return null; // what is behind it is not known yet
    return this.#older ? this.#older.next : newest.next;
  }

  /** What new items push out of the newest page stands before the further ones; where too many came, those are let go. */
  #keepPushedOut(newest: readonly T[]): void {
    if (!this.#older) return;
    const before = this.#newest.data?.items ?? [];
    const named = new Set(newest.map(({ id }) => id));
    const lastKept = before.findLastIndex(({ id }) => named.has(id));
    const pushedOut = before.slice(lastKept + 1);
    this.#older = lastKept < 0 ? null : { ...this.#older, items: [...pushedOut, ...this.#older.items] };
  }

  load = (): Promise<void> => this.#newest.load();

  /** Something changed: the newest page is read soon. */
  refresh(): void {
    this.#newest.refresh();
  }

  /** Another question: its first page, and none of the further ones of the question before. */
  restart(): void {
    this.#question += 1;
    this.#older = null;
    this.load();
  }

  /** One page more. Throws ProblemError. */
  more = async (): Promise<void> => {
    if (!this.#next || this.#isLoadingMore) return;
    this.#isLoadingMore = true;
    const question = this.#question;
    try {
      const { data, headers } = await this.#read(this.#next);
      if (question !== this.#question) return;
      this.#older = { items: [...(this.#older?.items ?? []), ...data], next: nextLink(headers.get('link')) };
    } finally {
      this.#isLoadingMore = false;
    }
  };

  stop(): void {
    this.#newest.stop();
  }
}
