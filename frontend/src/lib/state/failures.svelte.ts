// What an order to several tasks could not do: task by task, until somebody has read it.
import type { Problem } from '../api/types';
import type { Move } from '../moves';
import type { TaskState } from './tasks.svelte';

export interface Failure {
  task: TaskState;
  problem: Problem;
}

export interface PartlyDone {
  move: Move;
  /** How many tasks were asked for. */
  total: number;
  failures: readonly Failure[];
}

class Failures {
  current = $state.raw<PartlyDone | null>(null);

  close(): void {
    this.current = null;
  }
}

export const failures = new Failures();
