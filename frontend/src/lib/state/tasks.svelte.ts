// The tasks that this page knows: all open ones and the newest finished ones, kept current by the log.
// One object with reactive fields a task, so that a change redraws one card and not the board.
import { SvelteMap } from 'svelte/reactivity';
import { apiPath, type Client, type Query } from '../api/client';
import { nextLink } from '../api/links';
import type {
  Actor,
  BatchCreated,
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
import { parseTime } from '../format';
import { type Change, isFinished, isNews, STATUSES } from '../live/fold';
import type { TaskTail } from '../live/wire';
import { clock } from './clock';

const FINISHED_PAGE = 50;
const OPEN_PAGE = 1000;
/** Finished tasks kept a column; older ones are read again when somebody scrolls to them. */
const FINISHED_KEPT_MAX = 500;

/** Tasks that are asked for one by one after a long absence. */
const ASKED_AFTER_MAX = 50;

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
  secrets = $state.raw<string[]>([]);
  maskedCount = $state(0);
  tty = $state(false);
  createdBy = $state.raw<Actor>({ id: 'system', name: '' });
  outputBytes = $state(0);
  outputLines = $state(0);
  outputRemovedAt = $state<string | null>(null);
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
  label: string;
  batchId: string;
  /** Who created it: an actor's id. */
  createdBy: string;
}

export const NO_FILTER: TaskFilter = { text: '', desktopId: '', type: '', label: '', batchId: '', createdBy: '' };
export const isFiltering = (filter: TaskFilter): boolean => Object.values(filter).some(Boolean);

/** The filter as the server takes it. */
export function queryOf(filter: TaskFilter): Query {
  const { text, ...others } = filter;
  return { q: text, ...others };
}

export function matches(task: Task, filter: TaskFilter): boolean {
  if (filter.type && task.type !== filter.type) return false;
  if (filter.desktopId && task.desktopId !== filter.desktopId) return false;
  if (filter.label && !task.labels.includes(filter.label)) return false;
  if (filter.batchId && task.batchId !== filter.batchId) return false;
  if (filter.createdBy && task.createdBy.id !== filter.createdBy) return false;
  if (!filter.text) return true;
  const text = filter.text.toLowerCase();
  return (
    (task.title ?? '').toLowerCase().includes(text) ||
    task.content.toLowerCase().includes(text) ||
    task.id === filter.text ||
    task.labels.some((label) => label.toLowerCase().includes(text))
  );
}

/** One column as it is shown. The list is replaced only when something in it moved. */
class Column {
  tasks = $state.raw<readonly TaskState[]>([]);
}

const everyStatus = <T>(make: () => T): Record<TaskStatus, T> =>
  Object.fromEntries(STATUSES.map((status) => [status, make()])) as Record<TaskStatus, T>;

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
  /** The place of the last one that was read: what this page knows of older ones has gaps, and is not in the column. */
  edge: string;
}

const nothingOlder = (): Older => ({ count: 0, next: null, seq: 0, edge: '' });

/** Whether a change of a field can move its task in a column, out of it, or into another. */
const MOVES = new Set(['status', 'archived', 'startedAt', 'completedAt', 'title', 'content', 'labels', 'desktopId']);

export class TasksState {
  #tasks = new SvelteMap<string, TaskState>();
  #older = $state<Record<TaskStatus, Older>>(everyStatus(nothingOlder));
  #filter = $state.raw<TaskFilter>(NO_FILTER);
  #isLoaded = $state(false);
  #loading = new Map<string, Promise<TaskState>>();
  /** The position of the oldest answer about one task that came before the columns: events go on behind it. */
  #knownFrom = Number.POSITIVE_INFINITY;
  #api: Client;
  // Columns are laid out by hand, and only those in which something moved: a board of thousands of cards must not be
  // sorted anew because one of them has another status.
  #members = everyStatus(() => new Set<TaskState>());
  #columns = everyStatus(() => new Column());
  #moved = new Set<TaskStatus>();
  #depth = 0;
  #kept = everyStatus(() => FINISHED_KEPT_MAX);
  #changes = $state(0);
  #hasChanged = false;
  /** What the server tells while all columns are read anew. */
  #seen: Set<string> | null = null;

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

  /** Grows whenever a task came, went, or changed its status: what the server counted before is old then. */
  get changes(): number {
    return this.#changes;
  }

  /** The tasks of a column under the present filter, newest in it first. */
  column(status: TaskStatus): readonly TaskState[] {
    return this.#columns[status].tasks;
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
    this.#changes;
    const found = { running: 0, queued: 0, pending: 0 };
    for (const task of this.#members.pending) if (task.desktopId === desktopId) found.pending += 1;
    for (const task of this.#members.running) {
      if (task.desktopId === desktopId) found[task.phase === 'queued' ? 'queued' : 'running'] += 1;
    }
    return found;
  }

  /** The labels of the tasks that this page knows, the most used first. */
  labels(): string[] {
    const counts = new Map<string, number>();
    for (const task of this.#tasks.values())
      for (const label of task.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  }

  /** Reads all columns under a filter and gives the position from which the events go on. */
  async loadColumns(filter: TaskFilter = this.#filter): Promise<number> {
    if (filter !== this.#filter) {
      this.#filter = filter;
      this.#kept = everyStatus(() => FINISHED_KEPT_MAX);
      // Counts of another filter would be wrong until the answers come.
      for (const status of STATUSES) {
        this.#older[status] = nothingOlder();
        this.#moved.add(status);
      }
      this.#settle();
    }
    const seqs = await Promise.all(STATUSES.map((status) => this.#loadColumn(status, filter)));
    this.#isLoaded = true;
    const from = Math.min(...seqs, this.#knownFrom);
    this.#knownFrom = Number.POSITIVE_INFINITY;
    return from;
  }

  /**
   * Reads all columns anew, for a page that was away too long to hear what became of each task that it knows: those that
   * the answers do not hold are asked for, or forgotten where they are many.
   */
  async reloadColumns(): Promise<number> {
    const before = [...this.#tasks.values()];
    const seen = new Set<string>();
    this.#seen = seen;
    const seq = await this.loadColumns();
    this.#seen = null;
    const unseen = before
      .filter((task) => !seen.has(task.id))
      .sort((a, b) => Number(isFinished(a.status)) - Number(isFinished(b.status)));
    this.batch(() => {
      for (const task of unseen.slice(ASKED_AFTER_MAX)) this.#forget(task);
    });
    for (const { id } of unseen.slice(0, ASKED_AFTER_MAX)) this.refresh(id).catch(() => {});
    return seq;
  }

  /** Reads the next older tasks of a column. */
  async loadOlder(status: TaskStatus): Promise<void> {
    const { next } = this.#older[status];
    if (!next) return;
    await this.#readPage(status, next, {}, this.#filter);
    this.#kept[status] = Math.max(FINISHED_KEPT_MAX, this.column(status).length);
  }

  async #loadColumn(status: TaskStatus, filter: TaskFilter): Promise<number> {
    return this.#readPage(status, '/tasks', this.#columnQuery(status, filter), filter);
  }

  #columnQuery(status: TaskStatus, filter: TaskFilter): Query {
    return {
      status,
      ...queryOf(filter),
      limit: isFinished(status) ? FINISHED_PAGE : OPEN_PAGE,
      order: isFinished(status) ? 'ended' : 'created',
    };
  }

  async #readPage(status: TaskStatus, path: string, query: Query, filter: TaskFilter): Promise<number> {
    const { data, seq, total, headers } = await this.#api.get<Task[]>(path, query);
    this.batch(() => {
      for (const task of data) this.put(task);
      if (filter !== this.#filter) return;
      const next = nextLink(headers.get('link'));
      const last = data.at(-1);
      const edge = next && last && isFinished(status) ? entered(last, status) : '';
      this.#older[status] = { count: 0, next, seq: seq ?? 0, edge };
      this.#moved.add(status);
    });
    if (filter === this.#filter && this.#older[status].next) {
      const known = this.column(status).length;
      this.#older[status].count = Math.max(0, (total ?? known) - known);
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
        .then(({ data, seq }) => {
          if (!this.#isLoaded && seq !== null) this.#knownFrom = Math.min(this.#knownFrom, seq);
          return this.put(data);
        })
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
    const { data } = await this.#api.post<BatchCreated>(
      '/batches',
      { task: input, desktopIds, ...(run ? { run } : {}) },
      { idempotencyKey: key },
    );
    return this.batch(() => data.tasks.map((task) => this.put(task)));
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
    const known = this.#tasks.get(id);
    if (known) this.#change(known, { archived: true });
  }

  async #order(id: string, order: string, body?: unknown): Promise<TaskState> {
    return this.put((await this.#api.post<Task>(`/tasks/${encodeURIComponent(id)}/${order}`, body)).data);
  }

  /** Does several changes and lays the columns out once, at the end. */
  batch<T>(work: () => T): T {
    this.#depth += 1;
    try {
      return work();
    } finally {
      this.#depth -= 1;
      this.#settle();
    }
  }

  /** Lays nothing out until the function that it gives is called: for changes that take several frames. */
  hold(): () => void {
    this.#depth += 1;
    return () => {
      this.#depth -= 1;
      this.#settle();
    };
  }

  /** Takes in a task as the server answered it; an older answer than what is known changes nothing. */
  put(task: Task): TaskState {
    this.#seen?.add(task.id);
    const known = this.#tasks.get(task.id);
    if (!known) return this.#add(new TaskState(task));
    if (task.version > known.version) this.#change(known, task);
    else if (task.version === known.version)
      known.assign({ outputBytes: task.outputBytes, outputLines: task.outputLines });
    return known;
  }

  apply(change: Change, event: LogEvent): void {
    const known = this.#tasks.get(change.id);
    if (isNews(known, change)) {
      if (known) this.#change(known, change.fields as Partial<Task>);
      else this.#add(newcomer({ ...change.fields, id: change.id } as unknown as Task));
      return;
    }
    if (known) return;
    this.#hasChanged = true;
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
    for (const { taskId, lines, bytes, text, streams, ms } of tails) {
      const task = this.#tasks.get(taskId);
      if (!task) continue;
      task.outputLines = lines;
      task.outputBytes = bytes;
      const last = lastShown(text);
      if (last) {
        task.lastLine = last;
        task.lastStream = streams.at(-1) ?? 'o';
      }
      // A card that scrolled into sight is told its last line, which may be old.
      const began = parseTime(task.executedAt ?? task.startedAt);
      task.lastLineAt = began === null ? clock.exact : Math.min(clock.exact, began + ms);
    }
  }

  /** Forgets what the server can show again, so that a page that stays open for weeks stays small. */
  trim(): void {
    for (const status of STATUSES) {
      const tasks = this.column(status);
      const max = this.#kept[status];
      const last = tasks[max - 1];
      if (!isFinished(status) || tasks.length <= max || !last) continue;
      const dropped = tasks.slice(max);
      for (const task of dropped) this.#forget(task);
      const { count, seq } = this.#older[status];
      const next = apiPath('/tasks', { ...this.#columnQuery(status, this.#filter), before: last.id });
      this.#older[status] = { count: count + dropped.length, next, seq, edge: entered(last, status) };
      this.#moved.add(status);
    }
    this.#settle();
  }

  /** Everything known came from a log that is no more. */
  clear(): void {
    this.#tasks.clear();
    for (const status of STATUSES) {
      this.#members[status].clear();
      this.#older[status] = nothingOlder();
      this.#moved.add(status);
    }
    this.#isLoaded = false;
    this.#settle();
  }

  #add(task: TaskState): TaskState {
    this.#tasks.set(task.id, task);
    if (!task.archived) this.#members[task.status].add(task);
    this.#moved.add(task.status);
    this.#hasChanged = true;
    this.#settle();
    return task;
  }

  #forget(task: TaskState): void {
    this.#tasks.delete(task.id);
    this.#members[task.status].delete(task);
    this.#moved.add(task.status);
  }

  #change(task: TaskState, fields: Partial<Task>): void {
    const before = task.status;
    const wasArchived = task.archived;
    if (fields.status && fields.status !== before) task.movedAt = clock.exact;
    task.assign(fields);
    if (!Object.keys(fields).some((name) => MOVES.has(name))) return;
    this.#members[before].delete(task);
    if (!task.archived) this.#members[task.status].add(task);
    this.#moved.add(before).add(task.status);
    if (before !== task.status || wasArchived !== task.archived) this.#hasChanged = true;
    this.#settle();
  }

  /** Lays out the columns in which something moved; one that came out the same stays the very same list. */
  #settle(): void {
    if (this.#depth > 0) return;
    if (this.#hasChanged) this.#changes += 1;
    this.#hasChanged = false;
    for (const status of this.#moved) {
      const { edge } = this.#older[status];
      const placed: { task: TaskState; place: string }[] = [];
      for (const task of this.#members[status]) {
        const place = entered(task, status);
        if (place >= edge && matches(task, this.#filter)) placed.push({ task, place });
      }
      placed.sort((a, b) => (a.place === b.place ? (a.task.id < b.task.id ? 1 : -1) : a.place < b.place ? 1 : -1));
      const column = this.#columns[status];
      const before = column.tasks;
      if (before.length !== placed.length || placed.some(({ task }, index) => before[index] !== task))
        column.tasks = placed.map(({ task }) => task);
    }
    this.#moved.clear();
  }
}

function newcomer(task: Task): TaskState {
  const made = new TaskState(task);
  made.movedAt = clock.exact;
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
