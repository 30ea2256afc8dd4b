// The New Task dialog's draft. It survives a closed dialog and a closed tab; a dialog opened with something in it
// ("Use again", an example) leaves the kept draft alone.
import type { Problems } from '../api/errors';
import type { TaskInput, TaskType } from '../api/types';
import { variablesOf, variablesText, wordsOf } from '../typed';
import { readStored, writeStored } from './prefs.svelte';

const KEY = 'mission-control:draft';

export interface Draft {
  type: TaskType;
  content: string;
  desktopIds: string[];
  requiresApproval: boolean;
  title: string;
  /** Separated by commas. */
  labels: string;
  timeout: string;
  cwd: string;
  /** One NAME=value a line; a value of several in double quotes. */
  env: string;
  /** Names. */
  secrets: string[];
}

export const EMPTY_DRAFT: Draft = {
  type: 'prompt',
  content: '',
  desktopIds: [],
  requiresApproval: false,
  title: '',
  labels: '',
  timeout: '',
  cwd: '',
  env: '',
  secrets: [],
};

export interface Prefill extends Partial<Omit<TaskInput, 'cwd' | 'title' | 'timeoutSeconds'>> {
  title?: string | null;
  cwd?: string | null;
  timeoutSeconds?: number | null;
}

function draftOf(prefill: Prefill): Draft {
  return {
    ...EMPTY_DRAFT,
    type: prefill.type ?? 'prompt',
    content: prefill.content ?? '',
    desktopIds: prefill.desktopId ? [prefill.desktopId] : [],
    requiresApproval: prefill.requiresApproval ?? false,
    title: prefill.title ?? '',
    labels: (prefill.labels ?? []).join(', '),
    timeout: prefill.timeoutSeconds ? String(prefill.timeoutSeconds) : '',
    cwd: prefill.cwd ?? '',
    env: variablesText(prefill.env ?? {}),
    secrets: [...(prefill.secrets ?? [])],
  };
}

class NewTask {
  isOpen = $state(false);
  draft = $state<Draft>({ ...EMPTY_DRAFT });
  #isKept = true;

  /** Opens the dialog: with what is given, and perhaps for several desktops; or with the kept draft. */
  show(prefill?: Prefill, choice: Partial<Draft> = {}): void {
    this.#isKept = !prefill;
    this.draft = prefill
      ? { ...draftOf(prefill), ...choice }
      : { ...EMPTY_DRAFT, ...choice, ...readStored<Partial<Draft>>(KEY) };
    this.isOpen = true;
  }

  keep(): void {
    if (this.#isKept) writeStored(KEY, this.draft.content || this.draft.title ? this.draft : null);
  }

  /** The task was created: nothing is left to keep. */
  done(): void {
    this.isOpen = false;
    if (this.#isKept) writeStored(KEY, null);
  }
}

export const newTask = new NewTask();

/** The draft as the body of a request, and what is wrong with it by JSON pointer. */
export function bodyOf(draft: Draft): { body: Omit<TaskInput, 'desktopId'>; problems: Problems } {
  const problems: Problems = {};
  const body: Omit<TaskInput, 'desktopId'> = { type: draft.type, content: draft.content };
  if (!draft.content.trim()) {
    problems['/content'] = draft.type === 'prompt' ? 'Say what the agent should do.' : 'Enter the command to run.';
  }
  if (!draft.desktopIds.length) problems['/desktopId'] = 'Choose the desktop that runs it.';
  if (draft.requiresApproval) body.requiresApproval = true;
  if (draft.title.trim()) body.title = draft.title.trim();
  const labels = wordsOf(draft.labels);
  if (labels.length) body.labels = labels;
  if (draft.timeout.trim()) {
    const seconds = secondsOf(draft.timeout);
    if (seconds === null) problems['/timeoutSeconds'] = 'must be a number of seconds, or for instance 10m or 2h';
    else body.timeoutSeconds = seconds;
  }
  // The rest belongs to commands; a draft keeps it while it is a prompt.
  if (draft.type === 'prompt') return { body, problems };
  if (draft.cwd.trim()) body.cwd = draft.cwd.trim();
  const { variables, wrong } = variablesOf(draft.env);
  if (wrong !== null) problems['/env'] = `holds “${wrong.slice(0, 40)}”, which is not of the form NAME=value`;
  if (Object.keys(variables).length) body.env = variables;
  if (draft.secrets.length) body.secrets = draft.secrets;
  return { body, problems };
}

/** `90`, `90s`, `10m`, `2h`, `1d` in seconds; null where it is none of these. */
export function secondsOf(text: string): number | null {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?\s*$/i.exec(text);
  if (!found) return null;
  const unit = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 }[(found[2] ?? 's').toLowerCase()] ?? 1;
  const seconds = Math.round(Number(found[1]) * unit);
  return seconds > 0 ? seconds : null;
}
