// History routing. All view state is in the URL, so a link shows a colleague the same thing and Back works.
// Reading `router.url` in a component makes it follow the address.
import { createSubscriber } from 'svelte/reactivity';

/** Characters of a text that is looked for: proxies refuse addresses of some thousand bytes, and a character may take 12. */
export const TEXT_MAX = 200;

export type Route =
  | { name: 'board' }
  | { name: 'task'; id: string }
  | { name: 'approvals'; taskId?: string }
  | { name: 'desktops' }
  | { name: 'desktop'; id: string }
  | { name: 'overview' }
  | { name: 'batches' }
  | { name: 'batch'; id: string }
  | { name: 'search' }
  | { name: 'settings' }
  | { name: 'reference' }
  | { name: 'unknown'; path: string };

export function routeOf(path: string): Route {
  const parts = path.split('/').filter(Boolean).map(decodePart);
  const [first, second] = parts;
  if (first === undefined) return { name: 'board' };
  if (parts.length === 1) {
    if (isPlace(first)) return { name: first };
    if (first === 'tasks') return { name: 'board' };
  }
  if (parts.length === 2 && second !== undefined) {
    if (first === 'tasks') return { name: 'task', id: second };
    if (first === 'approvals') return { name: 'approvals', taskId: second };
    if (first === 'desktops') return { name: 'desktop', id: second };
    if (first === 'batches') return { name: 'batch', id: second };
  }
  return { name: 'unknown', path };
}

const PLACES = ['approvals', 'desktops', 'overview', 'batches', 'search', 'settings', 'reference'] as const;
const isPlace = (part: string): part is (typeof PLACES)[number] => (PLACES as readonly string[]).includes(part);

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The same address with some query parameters set; null or an empty text takes one away. */
export function withQuery(url: URL, changes: Record<string, string | null>): string {
  const params = new URLSearchParams(url.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const query = params.toString();
  return `${url.pathname}${query ? `?${query}` : ''}${url.hash}`;
}

class Router {
  #changed: () => void = () => {};
  #subscribe = createSubscriber((update) => {
    this.#changed = update;
    window.addEventListener('popstate', update);
    window.addEventListener('hashchange', update);
    return () => {
      window.removeEventListener('popstate', update);
      window.removeEventListener('hashchange', update);
      this.#changed = () => {};
    };
  });

  get url(): URL {
    this.#subscribe();
    return new URL(window.location.href);
  }

  get path(): string {
    return this.url.pathname;
  }

  get route(): Route {
    return routeOf(this.path);
  }

  /** One query parameter, or an empty text. */
  param(name: string): string {
    return this.url.searchParams.get(name) ?? '';
  }

  go(path: string, { replace = false } = {}): void {
    const { pathname, search, hash } = window.location;
    if (replace) history.replaceState(history.state, '', path);
    else if (path !== pathname + search + hash) history.pushState({ depth: this.#depth + 1 }, '', path);
    this.#changed();
  }

  /** Changes query parameters in place: filters are not steps of Back. */
  set(changes: Record<string, string | null>): void {
    this.go(withQuery(new URL(window.location.href), changes), { replace: true });
  }

  /** Back where the page behind is ours, else to `fallback`. */
  back(fallback = '/'): void {
    if (this.#depth > 0) history.back();
    else this.go(fallback);
  }

  /** How many pages of ours lie behind this one. */
  get #depth(): number {
    return (history.state as { depth?: number } | null)?.depth ?? 0;
  }
}

export const router = new Router();
