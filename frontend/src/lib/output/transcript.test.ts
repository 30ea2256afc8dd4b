import { describe, expect, test } from 'vitest';
import { apply, emptyTranscript, headline, type Progress, readableInput, type Transcript } from './transcript';

function folded(...items: Omit<Progress, 'upTo'>[]): Transcript {
  const transcript = emptyTranscript();
  items.forEach((item, index) => {
    apply(transcript, { ...item, upTo: index }, `2026-11-24T14:00:${String(index).padStart(2, '0')}.000000Z`);
  });
  return transcript;
}

const kinds = (transcript: Transcript) => transcript.blocks.map((block) => block.kind);

test('pieces of one text make one block', () => {
  const transcript = folded({ kind: 'text', text: 'Hel' }, { kind: 'text', text: 'lo' });
  expect(transcript.blocks).toMatchObject([{ kind: 'text', text: 'Hello' }]);
});

test('the order of what happened stays', () => {
  const transcript = folded(
    { kind: 'reasoning', text: 'I look.' },
    { kind: 'tool.started', callId: 'a', name: 'shell', input: '{"command":"df"}' },
    { kind: 'tool.output', callId: 'a', output: '92 %' },
    { kind: 'tool.finished', callId: 'a', name: 'shell' },
    { kind: 'text', text: 'Nearly full.' },
  );
  expect(kinds(transcript)).toEqual(['reasoning', 'tool', 'text']);
  expect(transcript.blocks[1]).toMatchObject({
    name: 'shell',
    output: '92 %',
    finishedAt: '2026-11-24T14:00:03.000000Z',
  });
});

test('two uses of a tool at once are kept apart', () => {
  const transcript = folded(
    { kind: 'tool.started', callId: 'a', name: 'shell' },
    { kind: 'tool.started', callId: 'b', name: 'shell' },
    { kind: 'tool.output', callId: 'a', output: 'from a' },
    { kind: 'tool.finished', callId: 'b' },
  );
  expect(transcript.blocks).toMatchObject([
    { callId: 'a', output: 'from a', finishedAt: null },
    { callId: 'b', output: '' },
  ]);
});

test('files that tools change are named once, in their order', () => {
  const written = (callId: string, path: string) => ({
    kind: 'tool.started',
    callId,
    name: 'write_file',
    input: JSON.stringify({ path }),
  });
  expect(folded(written('a', 'b.py'), written('b', 'a.py'), written('c', 'b.py')).files).toEqual(['b.py', 'a.py']);
});

test('a plan is replaced where it stands', () => {
  const transcript = folded(
    { kind: 'plan', items: [{ step: 'look', status: 'in_progress' }] },
    { kind: 'text', text: 'Looking.' },
    { kind: 'plan', items: [{ step: 'look', status: 'completed' }] },
  );
  expect(kinds(transcript)).toEqual(['plan', 'text']);
  expect(transcript.blocks[0]).toMatchObject({ items: [{ status: 'completed' }] });
});

test('the newest usage counts, and unknown kinds change nothing', () => {
  const usage = { promptTokens: 1, completionTokens: 2, totalTokens: 3 };
  const transcript = folded(
    { kind: 'usage', usage: { ...usage, totalTokens: 1 } },
    { kind: 'usage', usage },
    { kind: 'new.kind' },
  );
  expect(transcript).toEqual({ blocks: [], usage, files: [] });
});

test('a tool whose start was never said still gets its card', () => {
  expect(folded({ kind: 'tool.output', callId: 'x', output: 'late' }).blocks).toMatchObject([
    { kind: 'tool', output: 'late' },
  ]);
});

describe('what a tool was asked', () => {
  test('is indented when it is JSON', () => {
    expect(readableInput('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(readableInput('ls -l')).toBe('ls -l');
    expect(readableInput('{"a":')).toBe('{"a":');
  });
  test('has a first line', () => {
    expect(headline('{"cwd":"/tmp","command":"df -h\\nls"}')).toBe('df -h ls');
    expect(headline('{"n":1,"text":"x"}')).toBe('x');
    expect(headline('plain words')).toBe('plain words');
  });
});
