// Questions before things that cannot be undone. One is open at a time; the frame shows it.
import type { TaskState } from './tasks.svelte';

export type Ask =
  | { kind: 'cancel'; tasks: TaskState[] }
  | { kind: 'reject'; tasks: TaskState[] }
  | { kind: 'confirm'; title: string; detail: string; label: string; run: () => Promise<unknown> };

class Asks {
  current = $state.raw<Ask | null>(null);

  open(ask: Ask): void {
    this.current = ask;
  }

  close(): void {
    this.current = null;
  }
}

export const asks = new Asks();
