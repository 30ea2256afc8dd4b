/**
 * What an agent said and did, folded from `task.progress` events into blocks in the order they began.
 *
 * `apply` changes the transcript in place: a block is extended, never replaced, so that a screen keeps
 * what it has drawn. Kinds it does not know are passed over.
 */
import { changedFiles } from './changed-files';

export interface PlanItem {
  step: string;
  status: 'pending' | 'in_progress' | 'completed';
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
}

/** The payload of a `task.progress` event; which fields are present depends on `kind`. */
export interface Progress {
  kind: string;
  upTo: number;
  text?: string;
  callId?: string;
  name?: string;
  input?: string;
  output?: string;
  items?: PlanItem[];
  usage?: Usage;
}

export interface TextBlock {
  kind: 'text' | 'reasoning' | 'notice';
  text: string;
  /** When it began and when it last grew, as the log tells. */
  beganAt: string;
  lastAt: string;
}

export interface ToolBlock {
  kind: 'tool';
  callId: string;
  name: string;
  input: string;
  output: string;
  beganAt: string;
  /** Null while the tool is at work. */
  finishedAt: string | null;
}

export interface PlanBlock {
  kind: 'plan';
  items: PlanItem[];
}

export type Block = TextBlock | ToolBlock | PlanBlock;

export interface Transcript {
  blocks: Block[];
  usage: Usage | null;
  /** What the tools were asked to change, in the order in which they were first named. */
  files: string[];
}

export function emptyTranscript(): Transcript {
  return { blocks: [], usage: null, files: [] };
}

export function apply(transcript: Transcript, progress: Progress, at: string): void {
  switch (progress.kind) {
    case 'text':
    case 'reasoning':
      extendText(transcript, progress.kind, progress.text ?? '', at);
      return;
    case 'notice':
      transcript.blocks.push({ kind: 'notice', text: progress.text ?? '', beganAt: at, lastAt: at });
      return;
    case 'tool.started':
      transcript.blocks.push(toolOf(progress, at));
      for (const file of changedFiles(progress.name ?? '', progress.input ?? '')) {
        if (!transcript.files.includes(file)) transcript.files.push(file);
      }
      return;
    case 'tool.output': {
      toolIn(transcript, progress, at).output += progress.output ?? '';
      return;
    }
    case 'tool.finished':
      toolIn(transcript, progress, at).finishedAt = at;
      return;
    case 'plan':
      replacePlan(transcript, progress.items ?? []);
      return;
    case 'usage':
      transcript.usage = progress.usage ?? null;
  }
}

/** The answer alone, as it would be the task's result. */
export function answerOf(transcript: Transcript): string {
  return transcript.blocks.map((block) => (block.kind === 'text' ? block.text : '')).join('');
}

function extendText(transcript: Transcript, kind: 'text' | 'reasoning', text: string, at: string): void {
  const last = transcript.blocks.at(-1);
  if (last?.kind === kind) {
    last.text += text;
    last.lastAt = at;
  } else if (text.trim() !== '' || kind === 'text') {
    transcript.blocks.push({ kind, text, beganAt: at, lastAt: at });
  }
}

function toolOf(progress: Progress, at: string): ToolBlock {
  return {
    kind: 'tool',
    callId: progress.callId ?? '',
    name: progress.name ?? 'tool',
    input: progress.input ?? '',
    output: '',
    beganAt: at,
    finishedAt: null,
  };
}

/** The tool a later item is about. One whose start was never said still gets its card. */
function toolIn(transcript: Transcript, progress: Progress, at: string): ToolBlock {
  const known = transcript.blocks.findLast((block) => block.kind === 'tool' && block.callId === progress.callId);
  if (known?.kind === 'tool') return known;
  transcript.blocks.push(toolOf(progress, at));
  return transcript.blocks.at(-1) as ToolBlock; // read back: the list may be a reactive one
}

/** A plan stays where it first stood, so that its steps can be watched. */
function replacePlan(transcript: Transcript, items: PlanItem[]): void {
  const known = transcript.blocks.find((block) => block.kind === 'plan');
  if (known?.kind === 'plan') known.items = items;
  else transcript.blocks.push({ kind: 'plan', items });
}

/** A tool's input for reading: JSON objects indented, anything else as it is. */
export function readableInput(input: string): string {
  try {
    const value: unknown = JSON.parse(input);
    return typeof value === 'object' && value !== null ? JSON.stringify(value, null, 2) : input;
  } catch {
    return input;
  }
}

/** The one argument that says what a tool is asked to do, for the card's first line. */
export function headline(input: string): string {
  try {
    const value: unknown = JSON.parse(input);
    if (typeof value !== 'object' || value === null) return oneLine(input);
    const fields = value as Record<string, unknown>;
    const chosen = ['command', 'cmd', 'path', 'file', 'query', 'url', 'pattern'].find(
      (name) => typeof fields[name] === 'string',
    );
    return oneLine(
      chosen ? String(fields[chosen]) : (Object.values(fields).find((field) => typeof field === 'string') ?? ''),
    );
  } catch {
    return oneLine(input);
  }
}

function oneLine(text: unknown): string {
  return String(text).replace(/\s+/g, ' ').trim().slice(0, 160);
}
