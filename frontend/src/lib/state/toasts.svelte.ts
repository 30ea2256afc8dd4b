// Short messages: at most three, gone after 6 s unless somebody looks at them; errors stay until closed or there are
// more than three of them.
import type { Problem } from '../api/types';

export interface Toast {
  id: number;
  tone: 'plain' | 'good' | 'bad';
  title: string;
  detail: string | null;
  action: { label: string; run: () => void } | null;
}

export interface ToastOptions {
  tone?: Toast['tone'];
  detail?: string | null;
  action?: Toast['action'];
}

const TOASTS_MAX = 3;
const SHOWN_MS = 6_000;

export class Toasts {
  #toasts = $state<Toast[]>([]);
  #timers = new Map<number, ReturnType<typeof setTimeout>>();
  #lastId = 0;

  get all(): readonly Toast[] {
    return this.#toasts;
  }

  say(title: string, options: ToastOptions = {}): number {
    const toast: Toast = { id: ++this.#lastId, tone: 'plain', detail: null, action: null, title, ...options };
    // The same message again replaces the earlier one instead of standing under it.
    const same = this.#toasts.find((it) => it.title === toast.title && it.detail === toast.detail);
    if (same) this.close(same.id);
    this.#toasts.push(toast);
    while (this.#toasts.length > TOASTS_MAX) {
      const older = this.#toasts.slice(0, -1);
      this.close((older.find((it) => it.tone !== 'bad') ?? (older[0] as Toast)).id);
    }
    this.resume(toast.id);
    return toast.id;
  }

  /** Shows a problem of the server in its own words. It stays until it is closed. */
  error(problem: Problem): void {
    if (problem.code === 'aborted' || problem.code === 'unauthorized') return;
    this.say(problem.title, { tone: 'bad', detail: problem.detail === problem.title ? null : problem.detail });
  }

  close(id: number): void {
    this.pause(id);
    this.#toasts = this.#toasts.filter((toast) => toast.id !== id);
  }

  /** Somebody points at it or has the focus in it. */
  pause(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  resume(id: number): void {
    const toast = this.#toasts.find((it) => it.id === id);
    if (!toast || toast.tone === 'bad') return;
    this.pause(id);
    this.#timers.set(
      id,
      setTimeout(() => this.close(id), SHOWN_MS),
    );
  }
}
