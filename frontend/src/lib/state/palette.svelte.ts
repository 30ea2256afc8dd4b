// What the palette (Ctrl K) offers. Screens add what can be done on them for as long as they are shown; the frame adds
// places, desktops and settings; tasks are asked of the server.
import { allows, MOVE_LABELS, MOVE_ROLE, type Move, movesOf } from '../moves';
import type { IconName } from '../ui/icons';
import type { TaskState } from './tasks.svelte';

export interface PaletteItem {
  /** Stays the same from day to day: what was used lately is known by it. */
  id: string;
  group: string;
  label: string;
  icon: IconName;
  /** Beside the label, dimmed. */
  detail?: string;
  /** Further words that find it. */
  words?: string;
  /** In the notation of the registry. */
  keys?: string;
  /** Why it cannot be done now. */
  reason?: string | null;
  run: () => void;
}

class Palette {
  isOpen = $state(false);
  #offers: (() => PaletteItem[])[] = [];

  /** Adds items for as long as a screen is shown: `$effect(() => palette.offer(() => […]))`. Read when it opens. */
  offer(items: () => PaletteItem[]): () => void {
    this.#offers.push(items);
    return () => {
      this.#offers = this.#offers.filter((it) => it !== items);
    };
  }

  /** What the screen that came last offers comes first. */
  offered(): PaletteItem[] {
    return this.#offers.toReversed().flatMap((items) => items());
  }
}

export const palette = new Palette();

const ICONS: Record<Move, IconName> = {
  run: 'play',
  cancel: 'stop',
  approve: 'check',
  reject: 'close',
  retry: 'retry',
  archive: 'trash',
};

/** The key that does it to so many tasks, on the board and on a task's page. */
export function keysOfMove(move: Move, count: number): string | undefined {
  if (move === 'run' || move === 'retry') return 'r';
  return move === 'approve' && count === 1 ? 'a' : undefined;
}

/** What may be done with the tasks that are selected or open, under a name for all of them. */
export function movesWith(
  tasks: readonly TaskState[],
  name: string,
  order: (move: Move, tasks: readonly TaskState[]) => unknown,
  whyNot: (role: typeof MOVE_ROLE) => string | null,
): PaletteItem[] {
  const moves = new Set(tasks.flatMap((task) => movesOf(task.status)));
  return [...moves].map((move) => {
    const able = tasks.filter((task) => allows(task.status, move));
    return {
      id: `move:${move}`,
      group: name,
      label: able.length < tasks.length ? `${MOVE_LABELS[move]} ${able.length} of ${tasks.length}` : MOVE_LABELS[move],
      icon: ICONS[move],
      keys: keysOfMove(move, tasks.length),
      reason: whyNot(MOVE_ROLE),
      run: () => order(move, able),
    };
  });
}
