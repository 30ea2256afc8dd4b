// Saved views of the board: a name for a filter, kept in this browser. The filter itself is the query of an address.
import { readStored, writeStored } from './prefs.svelte';

export interface View {
  name: string;
  query: string;
}

const KEY = 'mission-control:views';
const VIEWS_MAX = 30;
/** What a filter consists of; other parts of the address are no part of a view. */
const PARAMS = ['q', 'desktop', 'type', 'label', 'batch', 'mine'];

/** The filter in an address, always written the same way. */
export function viewQuery(params: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const name of PARAMS) {
    const value = params.get(name);
    if (value) kept.set(name, value);
  }
  return kept.toString();
}

export class Views {
  #views = $state.raw<readonly View[]>([]);

  constructor() {
    const stored = readStored<View[]>(KEY);
    if (Array.isArray(stored)) this.#views = stored.filter((it) => typeof it?.name === 'string').slice(0, VIEWS_MAX);
  }

  get all(): readonly View[] {
    return this.#views;
  }

  /** The view that shows exactly this filter. */
  of(query: string): View | undefined {
    return this.#views.find((view) => view.query === query);
  }

  /** Keeps a filter under a name; an earlier view of the name is replaced, and beyond 30 the oldest goes. */
  save(name: string, query: string): void {
    const others = this.#views.filter((view) => view.name !== name && view.query !== query);
    this.#set([...others, { name, query }].slice(-VIEWS_MAX));
  }

  remove(view: View): void {
    this.#set(this.#views.filter((it) => it !== view));
  }

  #set(views: readonly View[]): void {
    this.#views = views;
    writeStored(KEY, views);
  }
}
