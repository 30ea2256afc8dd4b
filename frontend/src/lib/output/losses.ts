/** Bytes of a run that are known to be lost, and where among its lines that was. */
import type { Client } from '../api/client';
import type { LogEvent } from '../api/types';

export interface Loss {
  /** The first line after the hole. */
  line: number;
  bytes: number;
  reason: string;
}

/** A hole as the log has it: positions of the run in bytes, and its own place in the log. */
export interface Gap {
  seq: number;
  from: number;
  to: number;
  reason: string;
}

/** The line after a hole is that of the next output, or `otherwise` while there is none. */
export async function lossOf(api: Client, taskId: string, gap: Gap, otherwise: () => number): Promise<Loss> {
  const query = { types: 'task.output', after: gap.seq, limit: 1 };
  const { data } = await api.get<LogEvent[]>(`/tasks/${taskId}/events`, query);
  const line = (data[0]?.payload as { line: number } | undefined)?.line ?? otherwise();
  return { line, bytes: gap.to - gap.from, reason: gap.reason };
}
