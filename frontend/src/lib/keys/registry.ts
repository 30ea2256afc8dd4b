// Every key of the dashboard, once. This table feeds the handlers, the palette, the help sheet (`?`), the hints beside
// actions, and docs/keys.md. Several commands may share a key: the screen that came last and handles one of them gets it.

export type Group = 'Anywhere' | 'Board' | 'Task' | 'Output' | 'Approvals';

interface Entry {
  id: string;
  /** Keys in order, separated by blanks; a capital letter means with Shift, `Mod+` with Ctrl (⌘ on a Mac). */
  keys: string;
  label: string;
  group: Group;
  /** Handled where it is pressed (a field, a dialog), not by the table. */
  isLocal?: boolean;
}

export const KEYS = [
  { id: 'new-task', keys: 'n', label: 'New task', group: 'Anywhere' },
  { id: 'palette', keys: 'Mod+k', label: 'Find an action, a place or a task', group: 'Anywhere' },
  { id: 'filter', keys: '/', label: 'Filter, or find in the output', group: 'Anywhere' },
  { id: 'activity', keys: ']', label: 'Show or hide the activity', group: 'Anywhere' },
  { id: 'go-board', keys: 'g b', label: 'Go to the board', group: 'Anywhere' },
  { id: 'go-approvals', keys: 'g a', label: 'Go to the approvals', group: 'Anywhere' },
  { id: 'go-desktops', keys: 'g d', label: 'Go to the desktops', group: 'Anywhere' },
  { id: 'go-overview', keys: 'g o', label: 'Go to the overview', group: 'Anywhere' },
  { id: 'go-batches', keys: 'g t', label: 'Go to the batches', group: 'Anywhere' },
  { id: 'go-search', keys: 'g s', label: 'Go to the search', group: 'Anywhere' },
  { id: 'go-settings', keys: 'g ,', label: 'Go to the settings', group: 'Anywhere' },
  { id: 'help', keys: '?', label: 'Show all keys', group: 'Anywhere' },
  { id: 'submit', keys: 'Mod+Enter', label: 'Send the form that is open', group: 'Anywhere', isLocal: true },

  { id: 'next', keys: 'j', label: 'Next card', group: 'Board' },
  { id: 'previous', keys: 'k', label: 'Previous card', group: 'Board' },
  { id: 'left', keys: 'h', label: 'Column to the left', group: 'Board' },
  { id: 'right', keys: 'l', label: 'Column to the right', group: 'Board' },
  { id: 'open', keys: 'Enter', label: 'Open the card', group: 'Board', isLocal: true },
  { id: 'run', keys: 'r', label: 'Run, or retry', group: 'Board' },
  { id: 'approve', keys: 'a', label: 'Approve', group: 'Board' },
  { id: 'select', keys: 'x', label: 'Select the card', group: 'Board' },
  { id: 'extend', keys: 'J', label: 'Select downwards', group: 'Board' },
  { id: 'move', keys: 'm', label: 'Move to a column', group: 'Board' },
  { id: 'menu', keys: '.', label: 'Actions of the card', group: 'Board' },
  { id: 'clear', keys: 'Escape', label: 'Clear the selection', group: 'Board' },

  { id: 'task-back', keys: 'u', label: 'Back to the board', group: 'Task' },
  { id: 'task-run', keys: 'r', label: 'Run, or retry', group: 'Task' },
  { id: 'task-approve', keys: 'a', label: 'Approve', group: 'Task' },
  { id: 'task-menu', keys: '.', label: 'Actions of the task', group: 'Task' },
  { id: 'task-error-line', keys: 'e', label: 'Next error line', group: 'Task' },

  { id: 'output-find', keys: 'Mod+f', label: 'Find in the output', group: 'Output', isLocal: true },
  {
    id: 'output-match',
    keys: 'Enter',
    label: 'Next match, while finding (with Shift the one before)',
    group: 'Output',
    isLocal: true,
  },
  { id: 'output-end', keys: 'G', label: 'Follow the end', group: 'Output' },
  { id: 'output-last', keys: 'End', label: 'Follow the end', group: 'Output', isLocal: true },
  { id: 'output-first', keys: 'Home', label: 'Go to the start', group: 'Output', isLocal: true },
  { id: 'output-wrap', keys: 'w', label: 'Wrap long lines', group: 'Output' },
  { id: 'output-times', keys: 't', label: 'Times: relative, absolute, off', group: 'Output' },
  { id: 'output-full', keys: 'f', label: 'Full screen', group: 'Output' },

  { id: 'approvals-next', keys: 'j', label: 'Next approval', group: 'Approvals' },
  { id: 'approvals-previous', keys: 'k', label: 'Previous approval', group: 'Approvals' },
  { id: 'approvals-approve', keys: 'a', label: 'Approve', group: 'Approvals' },
  { id: 'approvals-reject', keys: 'r', label: 'Reject with feedback', group: 'Approvals' },
  { id: 'approvals-retry', keys: 'R', label: 'Reject, and retry with the feedback', group: 'Approvals' },
] as const satisfies readonly Entry[];

export type Command = (typeof KEYS)[number]['id'];
export type KeyHandlers = Partial<Record<Command, (event: KeyboardEvent) => void>>;

const ENTRIES: readonly Entry[] = KEYS;

export const GROUPS: readonly Group[] = ['Anywhere', 'Board', 'Task', 'Output', 'Approvals'];
export const entriesOf = (group: Group): readonly Entry[] => ENTRIES.filter((entry) => entry.group === group);

/** Whether this is a Mac, where ⌘ does what Ctrl does elsewhere. */
const isMac = (): boolean => typeof navigator !== 'undefined' && /Mac|iP(hone|ad)/.test(navigator.platform);

/** The keys of a command as they are shown: `['G', 'B']`, `['Shift', 'J']`, `['Ctrl', 'K']`. */
export function shownKeys(keys: string, mac = isMac()): string[] {
  return keys.split(' ').flatMap((key) => {
    if (key.startsWith('Mod+')) return [mac ? '⌘' : 'Ctrl', ...shownKeys(key.slice(4), mac)];
    if (/^[A-Z]$/.test(key)) return ['Shift', key];
    if (key === 'Escape') return ['Esc'];
    return [key.length === 1 ? key.toUpperCase() : key];
  });
}

export const keysOf = (command: Command): string => ENTRIES.find((entry) => entry.id === command)?.keys ?? '';

/**
 * What was pressed, in the notation of the table, whatever Caps Lock and the layout are: a letter is a capital with
 * Shift only, and where the layout writes another script, the letter that the key has elsewhere.
 */
export function keyOf({ key, code, shiftKey }: Pick<KeyboardEvent, 'key' | 'code' | 'shiftKey'>): string {
  const isOtherScript = /^\P{ASCII}/u.test(key) && !/^\p{Script=Latin}/u.test(key);
  const letter = isOtherScript ? /^Key([A-Z])$/.exec(code)?.[1] : /^[A-Za-z]$/.exec(key)?.[0];
  if (!letter) return key;
  return shiftKey ? letter.toUpperCase() : letter.toLowerCase();
}

export interface Step {
  /** What was pressed so far and may go on. */
  pending: string;
  /** Commands that the keys name, all with the same keys. */
  commands: Command[];
}

/** One key after what was pressed before. A key that does not go on begins anew. */
export function step(pending: string, key: string): Step {
  const pressed = pending ? `${pending} ${key}` : key;
  const commands = KEYS.filter((entry: Entry) => entry.keys === pressed && !entry.isLocal).map((entry) => entry.id);
  if (commands.length) return { pending: '', commands };
  if (ENTRIES.some((entry) => entry.keys.startsWith(`${pressed} `))) return { pending: pressed, commands: [] };
  return pending ? step('', key) : { pending: '', commands: [] };
}
