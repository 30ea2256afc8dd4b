// The desktops, kept current by the log; their metrics are live values that no log keeps.
import { SvelteMap } from 'svelte/reactivity';
import type { Client } from '../api/client';
import type { Check, Desktop, DesktopInput, Metrics } from '../api/types';
import { type Change, isNews } from '../live/fold';
import type { DesktopMetrics } from '../live/wire';

const HISTORY_MAX = 60;

export class DesktopsState {
  #desktops = new SvelteMap<string, Desktop>();
  #metrics = new SvelteMap<string, Metrics[]>();
  #isLoaded = $state(false);
  #api: Client;
  #all = $derived.by(() =>
    [...this.#desktops.values()]
      .filter((desktop) => !desktop.removedAt)
      .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true })),
  );

  constructor(api: Client) {
    this.#api = api;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Every desktop that is not removed, by name. */
  get all(): readonly Desktop[] {
    return this.#all;
  }

  get running(): readonly Desktop[] {
    return this.#all.filter((desktop) => desktop.status === 'running');
  }

  /** A desktop, also a removed one. */
  get(id: string): Desktop | undefined {
    return this.#desktops.get(id);
  }

  nameOf(id: string): string {
    return this.#desktops.get(id)?.name ?? id;
  }

  /** The newest values last; empty while nothing was measured. */
  metricsOf(id: string): readonly Metrics[] {
    const live = this.#metrics.get(id);
    if (live) return live;
    const last = this.#desktops.get(id)?.metrics;
    return last ? [last] : [];
  }

  async load(): Promise<number> {
    const { data, seq } = await this.#api.get<Desktop[]>('/api/desktops', { limit: 1000 });
    const named = new Set(data.map((desktop) => desktop.id));
    for (const id of this.#desktops.keys()) if (!named.has(id)) this.#desktops.delete(id);
    for (const desktop of data) this.#put(desktop);
    this.#isLoaded = true;
    return seq ?? 0;
  }

  async create(input: DesktopInput, idempotencyKey?: string): Promise<Desktop> {
    return this.#put((await this.#api.post<Desktop>('/api/desktops', input, { idempotencyKey })).data);
  }

  async change(id: string, changes: Record<string, unknown>): Promise<Desktop> {
    return this.#put((await this.#api.patch<Desktop>(`/api/desktops/${id}`, changes)).data);
  }

  /** Tries the desktop now, step by step. */
  async check(id: string, signal?: AbortSignal): Promise<Check> {
    const { data } = await this.#api.post<Check>(`/api/desktops/${id}/check`, undefined, { signal });
    if (data.desktop) this.#put(data.desktop);
    return data;
  }

  /** Takes it out of service, brings it back, or connects it anew. */
  async order(id: string, order: 'start' | 'stop' | 'restart'): Promise<Desktop> {
    return this.#put((await this.#api.post<Desktop>(`/api/desktops/${id}/${order}`)).data);
  }

  async remove(id: string): Promise<void> {
    await this.#api.delete(`/api/desktops/${id}`);
    const known = this.#desktops.get(id);
    if (known) this.#desktops.set(id, { ...known, removedAt: known.removedAt ?? new Date().toISOString() });
  }

  apply(change: Change): void {
    const known = this.#desktops.get(change.id);
    if (!isNews(known, change)) return;
    this.#desktops.set(change.id, { ...known, ...change.fields, id: change.id } as Desktop);
  }

  measure(measured: DesktopMetrics[]): void {
    for (const metrics of measured) {
      const before = this.#metrics.get(metrics.id) ?? [];
      this.#metrics.set(metrics.id, [...before, metrics].slice(-HISTORY_MAX));
    }
  }

  #put(desktop: Desktop): Desktop {
    const known = this.#desktops.get(desktop.id);
    if (known && known.version > desktop.version) return known;
    this.#desktops.set(desktop.id, desktop);
    return desktop;
  }
}
