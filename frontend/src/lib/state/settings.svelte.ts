// What people change at run time, for everybody.
import type { Client } from '../api/client';
import type { LogEvent, Settings } from '../api/types';

export class SettingsState {
  #settings = $state.raw<Settings>({ taskApprovalMode: false });
  #seq = 0;
  #api: Client;

  constructor(api: Client) {
    this.#api = api;
  }

  /** Every finished task waits for a decision, whatever its own flag says. */
  get taskApprovalMode(): boolean {
    return this.#settings.taskApprovalMode;
  }

  async load(): Promise<number> {
    const { data, seq } = await this.#api.get<Settings>('/settings');
    this.#settings = data;
    this.#seq = seq ?? 0;
    return this.#seq;
  }

  async change(changes: Partial<Settings>): Promise<void> {
    const { data, seq } = await this.#api.patch<Settings>('/settings', changes);
    this.#settings = data;
    this.#seq = Math.max(this.#seq, seq ?? 0);
  }

  apply(event: LogEvent): void {
    if (event.type !== 'settings.updated' || event.seq <= this.#seq) return;
    this.#seq = event.seq;
    this.#settings = { ...this.#settings, ...(event.payload as Partial<Settings>) };
  }
}
