// What a command to a batch passed over, in words: equal reasons together, each with the tasks that it concerns. Pure.
import type { Applied } from '../../lib/api/types';

const NAMED_MAX = 3;

const REASONS: Record<string, string> = {
  desktop_not_running: 'the desktop is not running',
  desktop_removed: 'the desktop was removed',
  desktop_queue_full: 'too many tasks wait on the desktop',
  agent_not_ready: 'the agent on the desktop is not ready',
  agent_not_configured: 'the desktop has no agent',
};

/** One sentence for each reason; what needed nothing is left out. */
export function skippedWords(skipped: Applied['skipped'], nameOf: (taskId: string) => string): string[] {
  const byCode = new Map<string, string[]>();
  for (const { taskId, code } of skipped) {
    if (code === 'nothing_to_do' || code.startsWith('task_not_')) continue;
    byCode.set(code, [...(byCode.get(code) ?? []), taskId]);
  }
  return [...byCode].map(([code, ids]) => {
    const named = ids.slice(0, NAMED_MAX).map(nameOf).join(', ');
    const more = ids.length > NAMED_MAX ? ` and ${ids.length - NAMED_MAX} more` : '';
    return `Passed over, since ${REASONS[code] ?? code}: ${named}${more}`;
  });
}
