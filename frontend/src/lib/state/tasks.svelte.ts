// The tasks that this page knows: all open ones and the newest finished ones, kept current by the log.
// One object with reactive fields a task, so that a change redraws one card and not the board.
import { SvelteMap } from 'svelte/reactivity';
import type { Client, Query } from '../api/client';
import { nextLink } from '../api/links';
import type {
  Actor,
  Batch,
  Decision,
  Failure,
  LeftRunning,
  LogEvent,
  Phase,
  Task,
  TaskInput,
  TaskStatus,
  TaskType,
  Usage,
} from '../api/types';
import { type Change, isFinished, isNews, STATUSES } from '../live/fold';
import type { TaskTail } from '../live/wire';

const FINISHED_PAGE = 50;
const OPEN_PAGE = 1000;
/** Finished tasks kept a column; older ones are read again when somebody scrolls to them. */
const FINISHED_KEPT_MAX = 500;

export class TaskState implements Task {
  readonly id: string;
  type = $state<TaskType>('command');
  content = $state('');
  status = $state<TaskStatus>('pending');
  desktopId = $state('');
  requiresApproval = $state(false);
  createdAt = $state('');
  startedAt = $state<string | null>(null);
  completedAt = $state<string | null>(null);
  phase = $state<Phase | null>(null);
  executedAt = $state<string | null>(null);
  cancelRequestedAt = $state<string | null>(null);
  instanceId = $state<string | null>(null);
  bootId = $state<string | null>(null);
  attempt = $state(0);
  durationMs = $state<number | null>(null);
  title = $state<string | null>(null);
  labels = $state.raw<string[]>([]);
  batchId = $state<string | null>(null);
  retryOf = $state<string | null>(null);
  sessionId = $state<string | null>(null);
  exitCode = $state<number | null>(null);
  signal = $state<string | null>(null);
  leftRunning = $state.raw<LeftRunning[] | null>(null);
  error = $state.raw<Failure | null>(null);
  result = $state<string | null>(null);
  feedback = $state<string | null>(null);
  timeoutSeconds = $state<number | null>(null);
  env = $state.raw<Record<string, string>>({});
  cwd = $state<string | null>(null);
  tty = $state(false);
  createdBy = $state.raw<Actor>({ id: 'system', name: '' });
  outputBytes = $state(0);
  outputLines = $state(0);
  usage = $state.raw<Usage | null>(null);
  archived = $state(false);
  version = $state(0);

  /** The newest line of output, while it runs. */
  lastLine = $state('');
  /** `o` for stdout, `e` for stderr. */
  lastStream = $state('o');
  /** When the newest line came (ms, this browser's clock). */
  lastLineAt = $state<number | null>(null);
  /** When it changed its column under the eyes of this page (ms). */
  movedAt = $state<number | null>(null);

  constructor(task: Task) {
    this.id = task.id;
    this.assign(task);
  }

  assign(fields: Partial<Task>): void {
    for (const [name, value] of Object.entries(fields)) {
      // Fields of a newer server that this page does not know are left out.
      if (name !== 'id' && name in this) (this as unknown as Record<string, unknown>)[name] = value;
    }
  }
}

export interface TaskFilter {
  text: string;
  desktopId: string;
  type: '' | TaskType;
}

export const NO_FILTER: TaskFilter = { text: '', desktopId: '', type: '' };
export const isFiltering = (filter: TaskFilter): boolean => !!(filter.text || filter.desktopId || filter.type);

export function matches(task: Task, filter: TaskFilter): boolean {
  if (filter.type && task.type !== filter.type) return false;
  if (filter.desktopId && task.desktopId !== filter.desktopId) return false;
  if (!filter.text) return true;
  const text = filter.text.toLowerCase();
  return (
    (task.title ?? '').toLowerCase().includes(text) ||
    task.content.toLowerCase().includes(text) ||
    task.id === filter.text ||
    task.labels.some((label) => label.toLowerCase().includes(text))
  );
}

interface Placed {
  task: TaskState;
  place: string;
}

class Column {
  #tasks: readonly TaskState[];

  constructor(tasks: () => readonly TaskState[]) {
    this.#tasks = $derived.by(tasks);
  }

  get tasks(): readonly TaskState[] {
    return this.#tasks;
  }
}

/** The place in a column: what entered it last comes first. */
function entered(task: Task, status: TaskStatus): string {
  if (status === 'pending') return task.createdAt;
  if (status === 'running' || status === 'review') return task.startedAt ?? task.createdAt;
  return task.completedAt ?? task.createdAt;
}

interface Older {
  /** How many the server has beyond those known here. */
  count: number;
  /** Where to read them. */
  next: string | null;
  seq: number;
}

export class TasksState {
  #tasks = new SvelteMap<string, TaskState>();
  #older = $state<Record<TaskStatus, Older>>(
    Object.fromEntries(STATUSES.map((status) => [status, { count: 0, next: null, seq: 0 }])) as unknown as Record<
      TaskStatus,
      Older
    >,
  );
  #filter = $state.raw<TaskFilter>(NO_FILTER);
  #isLoaded = $state(false);
  #loading = new Map<string, Promise<TaskState>>();
  #api: Client;
  #columns = $derived.by(() => {
    const columns = Object.fromEntries(STATUSES.map((status) => [status, [] as Placed[]])) as Record<
      TaskStatus,
      Placed[]
    >;
    for (const task of this.#tasks.values()) {
      const { status } = task;
      if (!task.archived && matches(task, this.#filter)) columns[status].push({ task, place: entered(task, status) });
    }
    return Object.fromEntries(STATUSES.map((status) => [status, this.#settle(status, columns[status])])) as Record<
      TaskStatus,
      readonly TaskState[]
    >;
  });
  // One signal a column: a card that changes in one column does not lay out the other five.
  #column = Object.fromEntries(STATUSES.map((status) => [status, new Column(() => this.#columns[status])])) as Record<
    TaskStatus,
    Column
  >;
  #settled: Partial<Record<TaskStatus, readonly TaskState[]>> = {};

  constructor(api: Client) {
    this.#api = api;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  get(id: string): TaskState | undefined {
    return this.#tasks.get(id);
  }

  get filter(): TaskFilter {
    return this.#filter;
  }

  /** The tasks of a column under the present filter, newest in it first. */
  column(status: TaskStatus): readonly TaskState[] {
    return this.#column[status].tasks;
  }

  /** How many there are in a column, those included that were not read yet. */
  count(status: TaskStatus): number {
    return this.column(status).length + this.#older[status].count;
  }

  hasOlder(status: TaskStatus): boolean {
    return this.#older[status].count > 0 && this.#older[status].next !== null;
  }

  /** How many tasks of a desktop are open, by status. */
  openOn(desktopId: string): { running: number; queued: number; pending: number } {
    const found = { running: 0, queued: 0, pending: 0 };
    for (const task of this.#tasks.values()) {
      if (task.desktopId !== desktopId || task.archived) continue;
      if (task.status === 'pending') found.pending += 1;
      else if (task.status === 'running') found[task.phase === 'queued' ? 'queued' : 'running'] += 1;
    }
    return found;
  }

  /** Known tasks of one desktop, newest first. */
  on(desktopId: string): TaskState[] {
    return [...this.#tasks.values()]
      .filter((task) => task.desktopId === desktopId && !task.archived)
      .sort((a, b) => (a.id < b.id ? 1 : -1));
  }

  /** Reads all columns under a filter and gives the position from which the events go on. */
  async loadColumns(filter: TaskFilter = this.#filter): Promise<number> {
    if (filter !== this.#filter) {
      this.#filter = filter;
      // Counts of another filter would be wrong until the answers come.
      for (const status of STATUSES) this.#older[status] = { count: 0, next: null, seq: 0 };
    }
    const seqs = await Promise.all(STATUSES.map((status) => this.#loadColumn(status, filter)));
    this.#isLoaded = true;
    return Math.min(...seqs);
  }

  /** Reads the next older tasks of a column. */
  async loadOlder(status: TaskStatus): Promise<void> {
    const { next } = this.#older[status];
    if (next) await this.#readPage(status, next, {}, this.#filter);
  }

  async #loadColumn(status: TaskStatus, filter: TaskFilter): Promise<number> {
    const query: Query = {
      status,
      q: filter.text,
      desktopId: filter.desktopId,
      type: filter.type,
      limit: isFinished(status) ? FINISHED_PAGE : OPEN_PAGE,
      order: isFinished(status) ? 'ended' : 'created',
    };
    return this.#readPage(status, '/tasks', query, filter);
  }

  async #readPage(status: TaskStatus, path: string, query: Query, filter: TaskFilter): Promise<number> {
    const { data, seq, total, headers } = await this.#api.get<Task[]>(path, query);
    for (const task of data) this.put(task);
    if (filter === this.#filter) {
      const known = this.column(status).length;
      const next = nextLink(headers.get('link'));
      this.#older[status] = { count: next ? Math.max(0, (total ?? known) - known) : 0, next, seq: seq ?? 0 };
    }
    return seq ?? 0;
  }

  /** The task, read from the server where this page does not know it. */
  load(id: string): Promise<TaskState> {
    const known = this.#tasks.get(id);
    if (known) return Promise.resolve(known);
    return this.refresh(id);
  }

  /** Reads the task anew. */
  refresh(id: string): Promise<TaskState> {
    let loading = this.#loading.get(id);
    if (!loading) {
      loading = this.#api
        .get<Task>(`/tasks/${encodeURIComponent(id)}`)
        .then(({ data }) => this.put(data))
        .finally(() => this.#loading.delete(id));
      this.#loading.set(id, loading);
    }
    return loading;
  }

  async create(input: TaskInput, idempotencyKey?: string): Promise<TaskState> {
    return this.put((await this.#api.post<Task>('/tasks', input, { idempotencyKey })).data);
  }

  /** The same task on several desktops: all are created, or none. */
  async createBatch(input: Omit<TaskInput, 'desktopId' | 'run'>, desktopIds: string[], run: boolean, key?: string) {
    const { data } = await this.#api.post<Batch>(
      '/batches',
      { task: input, desktopIds, ...(run ? { run } : {}) },
      { idempotencyKey: key },
    );
    return data.tasks.map((task) => this.put(task));
  }

  async run(id: string): Promise<TaskState> {
    return this.#order(id, 'run');
  }

  async cancel(id: string): Promise<TaskState> {
    return this.#order(id, 'cancel');
  }

  /** Approves or rejects; with `retry` a follow-up task carries the feedback on. */
  async review(id: string, decision: Decision, feedback?: string, retry?: boolean): Promise<TaskState> {
    return this.#order(id, 'review', { decision, ...(feedback ? { feedback } : {}), ...(retry ? { retry } : {}) });
  }

  /** Makes a new pending task of the same content, and gives that one. */
  async retry(id: string): Promise<TaskState> {
    return this.#order(id, 'retry');
  }

  async archive(id: string): Promise<void> {
    await this.#api.delete(`/tasks/${encodeURIComponent(id)}`);
    this.#tasks.get(id)?.assign({ archived: true });
  }

  async #order(id: string, order: string, body?: unknown): Promise<TaskState> {
    return this.put((await this.#api.post<Task>(`/tasks/${encodeURIComponent(id)}/${order}`, body)).data);
  }

  /** Takes in a task as the server answered it; an older answer than what is known changes nothing. */
  put(task: Task): TaskState {
    const known = this.#tasks.get(task.id);
    if (!known) {
      const made = new TaskState(task);
      this.#tasks.set(task.id, made);
      return made;
    }
    if (task.version > known.version) this.#change(known, task);
    else if (task.version === known.version)
      known.assign({ outputBytes: task.outputBytes, outputLines: task.outputLines });
    return known;
  }

  apply(change: Change, event: LogEvent): void {
    const known = this.#tasks.get(change.id);
    if (isNews(known, change)) {
      if (known) this.#change(known, change.fields as Partial<Task>);
      else this.#tasks.set(change.id, newcomer({ ...change.fields, id: change.id } as unknown as Task));
      return;
    }
    if (known) return;
    if (change.fields.archived === true) {
      const older = this.#older[change.fields.status as TaskStatus];
      if (older && event.seq > older.seq && older.count > 0) older.count -= 1;
    } else {
      // It fell between two snapshots, or was too old to be read: ask for it.
      this.refresh(change.id).catch(() => {});
    }
  }

  /** The newest lines of running tasks. */
  tail(tails: TaskTail[]): void {
    for (const { taskId, lines, bytes, text, streams } of tails) {
      const task = this.#tasks.get(taskId);
      if (!task) continue;
      task.outputLines = lines;
      task.outputBytes = bytes;
      const last = lastShown(text);
      if (last) {
        task.lastLine = last;
        task.lastStream = streams.at(-1) ?? 'o';
      }
      task.lastLineAt = Date.now();
    }
  }

  /** Forgets what the server can show again, so that a page that stays open for weeks stays small. */
  trim(): void {
    for (const status of STATUSES) {
      const tasks = this.column(status);
      if (!isFinished(status) || tasks.length <= FINISHED_KEPT_MAX) continue;
      const dropped = tasks.slice(FINISHED_KEPT_MAX);
      for (const task of dropped) this.#tasks.delete(task.id);
      this.#older[status] = { ...this.#older[status], count: this.#older[status].count + dropped.length };
    }
  }

  /** Everything known came from a log that is no more. */
  clear(): void {
    this.#tasks.clear();
    this.#isLoaded = false;
  }

  /** The column in its order; the very same list when nothing in it moved. */
  #settle(status: TaskStatus, placed: Placed[]): readonly TaskState[] {
    placed.sort((a, b) => (a.place === b.place ? (a.task.id < b.task.id ? 1 : -1) : a.place < b.place ? 1 : -1));
    const before = this.#settled[status];
    if (before?.length === placed.length && placed.every(({ task }, index) => before[index] === task)) return before;
    const tasks = placed.map(({ task }) => task);
    this.#settled[status] = tasks;
    return tasks;
  }

  #change(task: TaskState, fields: Partial<Task>): void {
    if (fields.status && fields.status !== task.status) task.movedAt = Date.now();
    task.assign(fields);
  }
}

function newcomer(task: Task): TaskState {
  const made = new TaskState(task);
  made.movedAt = Date.now();
  return made;
}

/** The last line that has something on it, without escapes and with progress bars at their last state. */
export function lastShown(text: string): string {
  const lines = text.split('\n');
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const line = (lines[index] ?? '')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are control characters.
      .replace(/\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g, '')
      .replace(/\r+$/, '')
      .replace(/^.*\r/s, '')
      .trim();
    if (line) return line.length > 300 ? line.slice(0, 300) : line;
  }
  return '';
}
