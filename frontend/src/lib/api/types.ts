// What the server sends, under the names that the rest of the dashboard uses.

export type Role = 'viewer' | 'operator' | 'admin';
export type TaskType = 'prompt' | 'command';
export type TaskStatus = 'pending' | 'running' | 'review' | 'done' | 'failed' | 'cancelled';
export type Phase = 'queued' | 'starting' | 'streaming' | 'draining';
export type Decision = 'approve' | 'reject';
export type DesktopStatus = 'pending' | 'booting' | 'running' | 'stopped' | 'error';
export type LinkState = 'up' | 'reconnecting' | 'down';

/** RFC 3339, UTC, microseconds, `Z`: sorts as text. */
export type Time = string;

export interface Actor {
  id: string;
  name: string;
}

export interface Failure {
  code: string;
  message: string;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
}

export interface Task {
  id: string;
  type: TaskType;
  content: string;
  status: TaskStatus;
  desktopId: string;
  requiresApproval: boolean;
  createdAt: Time;
  /** Somebody ran it. */
  startedAt: Time | null;
  completedAt: Time | null;
  phase: Phase | null;
  /** The desktop began; timeout and duration count from here. */
  executedAt: Time | null;
  cancelRequestedAt: Time | null;
  durationMs: number | null;
  title: string | null;
  labels: string[];
  batchId: string | null;
  retryOf: string | null;
  sessionId?: string | null;
  exitCode: number | null;
  signal: string | null;
  leftRunning: string[] | null;
  error: Failure | null;
  /** The agent's final text for a prompt, null for a command. */
  result: string | null;
  feedback: string | null;
  timeoutSeconds: number | null;
  env?: Record<string, string>;
  cwd?: string | null;
  tty?: boolean;
  createdBy: Actor;
  outputBytes: number;
  outputLines: number;
  usage: Usage | null;
  archived?: boolean;
  version: number;
}

export interface TaskInput {
  type: TaskType;
  content: string;
  desktopId: string;
  requiresApproval?: boolean;
  title?: string;
  labels?: string[];
  timeoutSeconds?: number;
  run?: boolean;
  env?: Record<string, string>;
  cwd?: string;
}

export interface Batch {
  id: string;
  tasks: Task[];
}

export type ApprovalStatus = 'pending' | 'approved' | 'rejected';

export interface Approval {
  id: string;
  taskId: string;
  desktopId: string;
  status: ApprovalStatus;
  createdAt: Time;
  resolvedAt: Time | null;
  resolvedBy: Actor | null;
  feedback: string | null;
}

/** Shares in use from 0 to 1; `load` is the load average over one minute. */
export interface Metrics {
  cpu: number | null;
  memory: number | null;
  disk: number | null;
  load: number | null;
}

export type AuthKind = 'key' | 'password' | 'agent' | 'config';

export interface Ssh {
  host: string;
  port: number;
  username: string | null;
  hostKeyFingerprint: string | null;
  offeredFingerprints: string[];
  auth: { kind: AuthKind };
}

export interface Agent {
  kind: 'openai' | 'openclaw';
  url: string;
  model: string | null;
  via: 'ssh' | 'direct';
  hasToken: boolean;
}

export interface Desktop {
  id: string;
  name: string;
  status: DesktopStatus;
  ipAddress: string | null;
  createdAt: Time;
  agentReady: boolean;
  labels: string[];
  maxConcurrentTasks: number;
  link: LinkState;
  nextTryAt?: Time | null;
  durable: boolean;
  ssh: Ssh;
  agent: Agent | null;
  outpost: { version: string; python: string; directory: string } | null;
  os: string | null;
  metrics?: Metrics | null;
  lastSeenAt: Time | null;
  error: Failure | null;
  removedAt: Time | null;
  version: number;
}

export type AuthInput =
  | { kind: 'key'; privateKey: string; passphrase?: string }
  | { kind: 'password'; password: string }
  | { kind: 'agent' }
  | { kind: 'config' };

export interface AgentInput {
  kind: Agent['kind'];
  url: string;
  token?: string;
  model?: string;
  via?: Agent['via'];
}

export interface DesktopInput {
  name: string;
  ssh: { host: string; port?: number; username?: string; hostKeyFingerprint?: string; auth: AuthInput };
  agent?: AgentInput;
  labels?: string[];
  maxConcurrentTasks?: number;
}

export type CheckName = 'connect' | 'host_key' | 'authenticate' | 'shell' | 'agent';

export interface Check {
  ok: boolean;
  steps: { name: CheckName; ok: boolean | null; detail: string; ms: number }[];
  desktop: Desktop;
}

export interface Settings {
  taskApprovalMode: boolean;
}

export interface Overview {
  counts: Record<TaskStatus, number>;
  completionRate: number | null;
  meanDurationMs: number | null;
  activeDesktops: number;
  desktops: number;
  cpu: number | null;
  memory: number | null;
  throughput: { hour: Time; done: number; failed: number; cancelled: number }[];
}

export interface Me {
  id: string;
  name: string;
  kind: 'key' | 'session' | 'local';
  role: Role;
  serverId: string;
  logId: string;
  version: string;
}

export interface ApiKey {
  id: string;
  name: string;
  role: Role;
  last4?: string;
  /** The masked key, as in `mc_k_…ab12`. */
  key?: string;
  createdAt: Time;
  expiresAt: Time | null;
  lastUsedAt?: Time | null;
  revokedAt?: Time | null;
}

/** RFC 9457, as every error of the server is. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  code: string;
  /** Says what happened and what to do. */
  detail: string;
  errors?: { pointer: string; message: string }[];
}

/** One event of the log, in the envelope that it has everywhere. */
export interface LogEvent {
  seq: number;
  at: Time;
  type: string;
  actor: Actor | null;
  // biome-ignore lint/suspicious/noExplicitAny: each event type has its own payload; the fold reads it by name.
  payload: Record<string, any>;
}
