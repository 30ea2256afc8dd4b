// What the server sends and takes, under the names that the rest of the dashboard uses. The shapes themselves are made
// from the server's own types: see types.gen.ts.
import type { components } from './types.gen';

type Schemas = components['schemas'];

/** RFC 3339, UTC, microseconds, `Z`: sorts as text. */
export type Time = string;

export type Task = Schemas['TaskView'];
export type TaskInput = Schemas['NewTask'];
export type TaskType = Task['type'];
export type TaskStatus = Task['status'];
export type Phase = NonNullable<Task['phase']>;
export type Decision = Schemas['Review']['decision'];
export type Usage = Schemas['Usage'];
export type Failure = Schemas['Error'];
export type LeftRunning = Schemas['LeftRunning'];
export type BatchCreated = Schemas['BatchCreated'];
/** How a batch stands; alone also on each of its desktops. */
export type Batch = Schemas['BatchView'];
export type BatchDetail = Schemas['BatchDetail'];
export type Applied = Schemas['AppliedView'];
export type StatusCounts = Schemas['StatusCounts'];

export type Approval = Schemas['Approval'];
export type ApprovalStatus = Approval['status'];

/** How many secrets were sealed with a new key. */
export type KeyChange = Schemas['KeyChangeView'];
export type KnownHost = Schemas['KnownHost'];

export type LogHead = Schemas['Head'];
export type Desktop = Schemas['DesktopView'];
export type DesktopInput = Schemas['NewDesktop'];
export type DesktopStatus = Desktop['status'];
export type LinkState = Desktop['link'];
export type Ssh = Schemas['Ssh'];
export type Agent = Schemas['Agent'];
export type AgentInput = Schemas['NewAgent'];
export type AuthInput = Schemas['NewSsh']['auth'];
export type AuthKind = AuthInput['kind'];
/** Shares in use from 0 to 1; `load` is the load average over one minute. */
export type Metrics = Schemas['Metrics'];
export type Check = Schemas['CheckView'];
export type CheckName = Schemas['CheckStep']['name'];

export type Settings = Schemas['Settings'];
export type Overview = Schemas['Overview'];
export type Actor = Schemas['Actor'];
export type Me = Schemas['Me'];
export type Role = Me['role'];
export type Secret = Schemas['Secret'];
export type ApiKey = Schemas['KeyView'];
export type BrowserSession = Schemas['SessionView'];

/** RFC 9457, as every error of the server is; one that was made here, because no answer came, has no type. */
export type Problem = Omit<Schemas['Problem'], 'type'> & { type?: string };

/** One event of the log, in the envelope that it has everywhere. */
export interface LogEvent {
  seq: number;
  at: Time;
  type: string;
  actor: Actor | null;
  // biome-ignore lint/suspicious/noExplicitAny: each event type has its own payload; the fold reads it by name.
  payload: Record<string, any>;
}
