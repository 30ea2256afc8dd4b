/**
 * Decisions that were made and are not sent yet. For five seconds they can be taken back; then they go to
 * the server. Leaving the page sends them at once.
 */
import type { Decision } from '../../lib/api/types';

export const UNDO_MS = 5_000;

export interface Verdict {
  approvalId: string;
  taskId: string;
  decision: Decision;
  feedback: string;
  retry: boolean;
}

export interface Waiting extends Verdict {
  sendAt: number;
}

export class PendingDecisions {
  #waiting = $state.raw<readonly Waiting[]>([]);
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #send: (verdict: Verdict) => void;

  constructor(send: (verdict: Verdict) => void) {
    this.#send = send;
  }

  /** Newest last. */
  get waiting(): readonly Waiting[] {
    return this.#waiting;
  }

  has(approvalId: string): boolean {
    return this.#waiting.some((waiting) => waiting.approvalId === approvalId);
  }

  decide(verdict: Verdict): void {
    this.undo(verdict.approvalId);
    this.#waiting = [...this.#waiting, { ...verdict, sendAt: Date.now() + UNDO_MS }];
    this.#timers.set(
      verdict.approvalId,
      setTimeout(() => this.#sendNow(verdict.approvalId), UNDO_MS),
    );
  }

  /** Take a decision back. Also for one that somebody else has made meanwhile. */
  undo(approvalId: string): Waiting | null {
    const found = this.#waiting.find((waiting) => waiting.approvalId === approvalId) ?? null;
    clearTimeout(this.#timers.get(approvalId));
    this.#timers.delete(approvalId);
    if (found) this.#waiting = this.#waiting.filter((waiting) => waiting !== found);
    return found;
  }

  undoLast(): Waiting | null {
    const last = this.#waiting.at(-1);
    return last ? this.undo(last.approvalId) : null;
  }

  /** Send what waits, now. */
  flush(): void {
    for (const { approvalId } of this.#waiting) this.#sendNow(approvalId);
  }

  #sendNow(approvalId: string): void {
    const found = this.undo(approvalId);
    if (found) this.#send(found);
  }
}
