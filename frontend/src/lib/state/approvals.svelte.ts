// What waits for a decision, and the decisions that were just made.
import { SvelteMap } from 'svelte/reactivity';
import type { Client } from '../api/client';
import type { Approval } from '../api/types';
import type { Change } from '../live/fold';

/** Decisions kept in sight after they were made; older ones are in the activity. */
const RESOLVED_MAX = 50;

export class ApprovalsState {
  #approvals = new SvelteMap<string, Approval>();
  #api: Client;
  #pending = $derived.by(() =>
    [...this.#approvals.values()]
      .filter((approval) => approval.status === 'pending')
      .sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.id < b.id ? -1 : 1)),
  );
  #resolved = $derived.by(() =>
    [...this.#approvals.values()]
      .filter((approval) => approval.status !== 'pending')
      .sort((a, b) => ((a.resolvedAt ?? '') < (b.resolvedAt ?? '') ? 1 : -1))
      .slice(0, RESOLVED_MAX),
  );

  #byTask = $derived.by(() => {
    const newest = new Map<string, Approval>();
    for (const approval of this.#approvals.values()) {
      const known = newest.get(approval.taskId);
      if (!known || known.createdAt < approval.createdAt) newest.set(approval.taskId, approval);
    }
    return newest;
  });

  constructor(api: Client) {
    this.#api = api;
  }

  /** Oldest first: who waits longest is next. */
  get pending(): readonly Approval[] {
    return this.#pending;
  }

  /** Newest first; only what this page has seen. */
  get resolved(): readonly Approval[] {
    return this.#resolved;
  }

  /** The newest approval of a task, decided or not. */
  of(taskId: string): Approval | undefined {
    return this.#byTask.get(taskId);
  }

  async load(): Promise<number> {
    const { data, seq } = await this.#api.get<Approval[]>('/approvals', { limit: 1000 });
    const waiting = new Set(data.map((approval) => approval.id));
    for (const [id, known] of this.#approvals) {
      // Decided while this page was away; the events say how.
      if (known.status === 'pending' && !waiting.has(id)) this.#approvals.delete(id);
    }
    for (const approval of data) if (!this.#approvals.has(approval.id)) this.#approvals.set(approval.id, approval);
    return seq ?? 0;
  }

  apply(change: Change): void {
    const known = this.#approvals.get(change.id);
    if (known && (known.status !== 'pending' || change.version === 1)) return;
    this.#approvals.set(change.id, { ...known, ...change.fields } as unknown as Approval);
  }
}
