// Holds the dashboard's own types against those of the server (types.gen.ts): it compiles only while they agree.
// What the server sends must be all that we read of it; what we send must be what the server takes.
import type * as ours from './types';
import type * as wire from './types.gen';

type Gives<Wanted, Given extends Wanted> = [Wanted, Given];

export type Answers = [
  Gives<ours.Task, wire.TaskView>,
  Gives<ours.BatchCreated, wire.BatchCreated>,
  Gives<ours.Batch, wire.BatchView>,
  Gives<ours.BatchDetail, wire.BatchDetail>,
  Gives<ours.Approval, wire.Approval>,
  Gives<ours.Desktop, wire.DesktopView>,
  Gives<ours.Check, wire.CheckView>,
  Gives<ours.Metrics, wire.Metrics>,
  Gives<ours.Overview, wire.Overview>,
  Gives<ours.Settings, wire.Settings>,
  Gives<ours.Me, wire.Me>,
  Gives<ours.ApiKey, wire.KeyView>,
  Gives<ours.Problem, wire.Problem>,
  Gives<ours.LogEvent, wire.Envelope>,
];

export type Requests = [Gives<wire.NewTask, ours.TaskInput>, Gives<wire.NewDesktop, ours.DesktopInput>];
