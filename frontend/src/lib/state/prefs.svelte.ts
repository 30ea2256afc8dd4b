// What this browser remembers for this person: theme, open panels, the last choices. Kept in local storage, where that
// is allowed; the theme's key is also read by early.js before the first paint.
import type { TaskStatus, TaskType } from '../api/types';
import type { TimeMode } from '../output/times';
import type { ActivityFilter } from './activity.svelte';

export type Theme = 'system' | 'light' | 'dark';

interface Stored {
  theme: Theme;
  isActivityOpen: boolean;
  isNewestOnTop: boolean;
  activityFilter: ActivityFilter;
  areKeysOn: boolean;
  foldedColumns: TaskStatus[];
  lastDesktopId: string | null;
  lastType: TaskType;
  recent: string[];
  areNotificationsOn: boolean;
  wrapsLines: boolean;
  timeMode: TimeMode;
}

const KEY = 'mission-control:prefs';
const DEFAULTS: Stored = {
  theme: 'system',
  isActivityOpen: false,
  isNewestOnTop: false,
  activityFilter: { kind: '', desktopId: '' },
  areKeysOn: true,
  foldedColumns: [],
  lastDesktopId: null,
  lastType: 'prompt',
  recent: [],
  areNotificationsOn: false,
  wrapsLines: false,
  timeMode: 'off',
};
const RECENT_MAX = 12;

export function readStored<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function writeStored(key: string, value: unknown): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Storage is full or forbidden: the choice lasts as long as the page.
  }
}

export class Prefs {
  #stored = $state<Stored>({ ...DEFAULTS });
  #systemIsDark = $state(false);

  /** Reads what was kept and follows the system's theme. */
  start(): void {
    Object.assign(this.#stored, readStored<Partial<Stored>>(KEY) ?? {});
    const query = matchMedia('(prefers-color-scheme: dark)');
    this.#systemIsDark = query.matches;
    query.addEventListener('change', (event) => {
      this.#systemIsDark = event.matches;
      this.#paint();
    });
    // What is chosen in another tab holds in this one, too; and this one does not write the old choice back.
    window.addEventListener('storage', ({ key }) => {
      if (key !== KEY) return;
      Object.assign(this.#stored, readStored<Partial<Stored>>(KEY) ?? {});
      this.#paint();
    });
    this.#paint();
  }

  get theme(): Theme {
    return this.#stored.theme;
  }
  set theme(theme: Theme) {
    this.#set('theme', theme);
    this.#paint();
  }

  get isDark(): boolean {
    return this.theme === 'dark' || (this.theme === 'system' && this.#systemIsDark);
  }

  get isActivityOpen(): boolean {
    return this.#stored.isActivityOpen;
  }
  set isActivityOpen(open: boolean) {
    this.#set('isActivityOpen', open);
  }

  /** The activity grows at its top; else at its bottom, like a log. */
  get isNewestOnTop(): boolean {
    return this.#stored.isNewestOnTop;
  }
  set isNewestOnTop(top: boolean) {
    this.#set('isNewestOnTop', top);
  }

  /** As it was chosen last, in any tab: each goes on with its own. */
  get activityFilter(): ActivityFilter {
    return { ...this.#stored.activityFilter };
  }
  set activityFilter(filter: ActivityFilter) {
    this.#set('activityFilter', filter);
  }

  /** Single-key shortcuts can be switched off (WCAG 2.1.4). */
  get areKeysOn(): boolean {
    return this.#stored.areKeysOn;
  }
  set areKeysOn(on: boolean) {
    this.#set('areKeysOn', on);
  }

  get lastDesktopId(): string | null {
    return this.#stored.lastDesktopId;
  }
  set lastDesktopId(id: string | null) {
    this.#set('lastDesktopId', id);
  }

  get lastType(): TaskType {
    return this.#stored.lastType;
  }
  set lastType(type: TaskType) {
    this.#set('lastType', type);
  }

  /** What was chosen in the palette, newest first, by the names of its items. */
  get recent(): readonly string[] {
    return this.#stored.recent;
  }

  noteRecent(id: string): void {
    this.#set('recent', [id, ...this.#stored.recent.filter((it) => it !== id)].slice(0, RECENT_MAX));
  }

  /** Asked for in the settings; whether the browser allows them is another matter. */
  get areNotificationsOn(): boolean {
    return this.#stored.areNotificationsOn;
  }
  set areNotificationsOn(on: boolean) {
    this.#set('areNotificationsOn', on);
  }

  /** Of any output: a long line takes as many rows as it needs. */
  get wrapsLines(): boolean {
    return this.#stored.wrapsLines;
  }
  set wrapsLines(wraps: boolean) {
    this.#set('wrapsLines', wraps);
  }

  /** Of any output: the time before each line. */
  get timeMode(): TimeMode {
    return this.#stored.timeMode;
  }
  set timeMode(mode: TimeMode) {
    this.#set('timeMode', mode);
  }

  isFolded(column: TaskStatus): boolean {
    return this.#stored.foldedColumns.includes(column);
  }

  toggleFolded(column: TaskStatus): void {
    const folded = this.#stored.foldedColumns;
    this.#set('foldedColumns', folded.includes(column) ? folded.filter((it) => it !== column) : [...folded, column]);
  }

  #set<K extends keyof Stored>(name: K, value: Stored[K]): void {
    this.#stored[name] = value;
    writeStored(KEY, this.#stored);
  }

  #paint(): void {
    document.documentElement.dataset.theme = this.isDark ? 'dark' : 'light';
  }
}
