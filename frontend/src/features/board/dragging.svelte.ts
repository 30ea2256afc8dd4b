// Cards that are dragged. What a drop means is decided in lib/moves.ts; the library is loaded when the board is shown,
// since the board works without it (menu, keys, buttons).
import type { TaskStatus } from '../../lib/api/types';
import { type Move, moveTo, whyNotTo } from '../../lib/moves';
import { order } from '../../lib/orders';
import type { TaskState } from '../../lib/state/tasks.svelte';

type Adapter = typeof import('@atlaskit/pragmatic-drag-and-drop/element/adapter');

export class Dragging {
  #adapter = $state.raw<Adapter | null>(null);
  #task = $state.raw<TaskState | null>(null);
  #over = $state<TaskStatus | null>(null);
  #group: () => readonly TaskState[];
  #reason: () => string | null;

  /** `group` gives the selected tasks: a selected card takes its fellows along. `reason` says why nothing can move. */
  constructor(group: () => readonly TaskState[], reason: () => string | null) {
    this.#group = group;
    this.#reason = reason;
  }

  /** Where it does not come, the next board asks again. */
  async load(): Promise<void> {
    this.#adapter ??= await import('@atlaskit/pragmatic-drag-and-drop/element/adapter').catch(() => null);
  }

  /** The column that the dragged card comes from. */
  get from(): TaskStatus | null {
    return this.#task?.status ?? null;
  }

  get over(): TaskStatus | null {
    return this.#over;
  }

  /** What dropping the present card on a column would do. */
  moveTo(status: TaskStatus): Move | null {
    return this.#task ? moveTo(this.#task.status, status) : null;
  }

  /** Why the present card cannot be dropped on a column. */
  whyNotTo(status: TaskStatus): string | null {
    return this.#task ? whyNotTo(this.#task.status, status) : null;
  }

  source(element: HTMLElement, task: TaskState): (() => void) | undefined {
    return this.#adapter?.draggable({
      element,
      canDrag: () => this.#reason() === null,
      onDragStart: () => {
        this.#task = task;
      },
      onDrop: ({ location }) => {
        const to = location.current.dropTargets[0]?.data.status as TaskStatus | undefined;
        this.#task = null;
        this.#over = null;
        const move = to ? moveTo(task.status, to) : null;
        if (!move) return;
        const group = this.#group();
        void order(move, group.includes(task) ? group.filter((it) => it.status === task.status) : [task]);
      },
    });
  }

  target(element: HTMLElement, status: TaskStatus): (() => void) | undefined {
    return this.#adapter?.dropTargetForElements({
      element,
      getData: () => ({ status }),
      canDrop: () => this.moveTo(status) !== null,
      onDragEnter: () => {
        this.#over = status;
      },
      onDragLeave: () => {
        if (this.#over === status) this.#over = null;
      },
    });
  }
}
