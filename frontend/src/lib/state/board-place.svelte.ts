// Where somebody is on the board: who comes back from a task finds it as it was left. For as long as the page lives.
import type { TaskStatus } from '../api/types';

/** Cards that a column shows at first, and as many more at a time. */
export const SHOWN_STEP = 50;

class ColumnPlace {
  shownMax = $state(SHOWN_STEP);
  /** How far it is scrolled, px. */
  top = 0;
  /** The card at its upper edge. */
  firstId = '';
  /** How far that card begins above the edge, px. */
  hidden = 0;
}

export class BoardPlace {
  /** The card that had the focus last; a card that moves to another column takes the focus with it. */
  focusedId: string | null = null;
  /** It got the focus by key, so somebody looks at where it is. */
  isByKey = false;
  /** How far the columns are scrolled sideways, px. */
  left = 0;
  #filter = '';
  #columns = new Map<TaskStatus, ColumnPlace>();

  /** The board is opened with this filter: with another one than before it begins anew. */
  open(filter: string): void {
    if (filter !== this.#filter) this.clear();
    this.#filter = filter;
  }

  /** The filter is changed by somebody who is there. */
  refilter(filter: string): void {
    this.#filter = filter;
  }

  column(status: TaskStatus): ColumnPlace {
    let column = this.#columns.get(status);
    if (!column) {
      column = new ColumnPlace();
      this.#columns.set(status, column);
    }
    return column;
  }

  clear(): void {
    this.focusedId = null;
    this.isByKey = false;
    this.left = 0;
    this.#filter = '';
    this.#columns.clear();
  }
}
