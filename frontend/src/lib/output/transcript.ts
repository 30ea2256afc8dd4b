/**
 * What an agent said and did, folded from `task.progress` events into blocks in the order they began.
 *
 * `apply` changes the list in place and never a block: one that grows is replaced where it stands, so that a screen sees
 * which of thousands it has to draw anew. Kinds it does not know are passed over.
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

export type Block = Readonly<TextBlock> | Readonly<ToolBlock> | Readonly<PlanBlock>;

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
    case 'tool.output':
      changeTool(transcript, progress, at, (tool) => ({ output: tool.output + (progress.output ?? '') }));
      return;
    case 'tool.finished':
      changeTool(transcript, progress, at, () => ({ finishedAt: at }));
      return;
    case 'plan':
      replacePlan(transcript, progress.items ?? []);
      return;
    case 'usage':
      transcript.usage = progress.usage ?? null;
  }
}

function extendText(transcript: Transcript, kind: 'text' | 'reasoning', text: string, at: string): void {
  const { blocks } = transcript;
  const last = blocks.at(-1);
  if (last?.kind === kind) {
    blocks[blocks.length - 1] = { ...last, text: last.text + text, lastAt: at };
  } else if (text.trim() !== '' || kind === 'text') {
    blocks.push({ kind, text, beganAt: at, lastAt: at });
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

/** Changes the tool that a later item is about. One whose start was never said still gets its card. */
function changeTool(
  { blocks }: Transcript,
  progress: Progress,
  at: string,
  change: (tool: Readonly<ToolBlock>) => Partial<ToolBlock>,
): void {
  const found = blocks.findLastIndex((block) => block.kind === 'tool' && block.callId === progress.callId);
  const known = blocks[found];
  const tool = known?.kind === 'tool' ? known : toolOf(progress, at);
  blocks[known ? found : blocks.length] = { ...tool, ...change(tool) };
}

/** A plan stays where it first stood, so that its steps can be watched. */
function replacePlan(transcript: Transcript, items: PlanItem[]): void {
  const { blocks } = transcript;
  const found = blocks.findIndex((block) => block.kind === 'plan');
  blocks[found < 0 ? blocks.length : found] = { kind: 'plan', items };
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
