// Which events are worth calling a person who does not look. Pure; names are looked up by the caller.
import type { LogEvent } from '../api/types';
import { exitWords, plural } from '../format';

export interface Notice {
  /** A later notice under the same tag replaces the earlier one. */
  tag: string;
  title: string;
  body: string;
  /** What a click opens. */
  path: string;
}

export interface NoticeNames {
  /** The id of whoever is signed in here. */
  me: string;
  task: (id: string) => { title: string; createdBy: string } | null;
  desktop: (id: string) => string;
}

/** More at once are told in one. */
const NOTICES_MAX = 3;

const ENDS: Record<string, string> = {
  'task.completed': 'Done',
  'task.failed': 'Failed',
  'task.cancelled': 'Cancelled',
};

function noticeOf({ type, payload, actor }: LogEvent, names: NoticeNames): Notice | null {
  const task = typeof payload.taskId === 'string' ? names.task(payload.taskId) : null;
  if (type === 'approval.created') {
    return {
      tag: payload.taskId,
      title: 'Waits for your decision',
      body: task?.title ?? 'A finished task',
      path: `/approvals/${payload.taskId}`,
    };
  }
  const end = ENDS[type];
  // What somebody did here themselves is no news to them.
  if (end && task?.createdBy === names.me && actor?.id !== names.me) {
    const why = type === 'task.failed' ? (exitWords(payload.exitCode, payload.signal) ?? payload.error?.message) : null;
    return {
      tag: payload.taskId,
      title: why ? `${end}: ${why}` : end,
      body: task.title,
      path: `/tasks/${payload.taskId}`,
    };
  }
  if (type === 'desktop.error' || (type === 'desktop.link' && payload.link === 'down')) {
    return {
      tag: payload.desktopId,
      title: 'A desktop is lost',
      body: [names.desktop(payload.desktopId), payload.error?.message].filter(Boolean).join(': '),
      path: `/desktops/${payload.desktopId}`,
    };
  }
  return null;
}

/** The notices of some events: one for each thing, the newest; very many in one. */
export function noticesOf(events: readonly LogEvent[], names: NoticeNames): Notice[] {
  const notices = new Map<string, Notice>();
  for (const event of events) {
    const notice = noticeOf(event, names);
    if (notice) notices.set(notice.tag, notice);
  }
  if (notices.size <= NOTICES_MAX) return [...notices.values()];
  const decisions = [...notices.values()].filter(({ path }) => path.startsWith('/approvals')).length;
  return [
    {
      tag: 'several',
      title: `${plural(notices.size, 'thing')} happened`,
      body: decisions ? `${plural(decisions, 'task')} wait for your decision` : 'Tasks ended or desktops were lost.',
      path: decisions ? '/approvals' : '/',
    },
  ];
}
