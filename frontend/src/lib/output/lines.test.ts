import { describe, expect, test } from 'vitest';
import { LINE_BYTES_MAX, OutputLines, type OutputPiece, PAGE_LINES, type Stream } from './lines';

const encoder = new TextEncoder();

/** Writes pieces as the server would: positions and line numbers go on from what was written. */
function recorder(lines: OutputLines) {
  let position = 0;
  let ms = 0;
  return (text: string, stream: Stream = 'stdout'): OutputPiece => {
    const length = encoder.encode(text).length;
    const piece = { stream, position, length, line: lines.count, ms: ms++, text };
    position += length;
    lines.append(piece);
    return piece;
  };
}

function allOf(lines: OutputLines): (string | undefined)[] {
  return Array.from({ length: lines.count }, (_, line) => lines.text(line));
}

describe('a display line', () => {
  test('ends at a newline', () => {
    const lines = new OutputLines();
    recorder(lines)('one\ntwo\n\nfour');
    expect(allOf(lines)).toEqual(['one', 'two', '', 'four']);
  });

  test('goes on in the next event of the same stream', () => {
    const lines = new OutputLines();
    const write = recorder(lines);
    write('pass');
    write('word: ');
    write('ok\nnext');
    expect(allOf(lines)).toEqual(['password: ok', 'next']);
    expect(lines.ms(0)).toBe(0);
  });

  test('ends where the stream changes', () => {
    const lines = new OutputLines();
    const write = recorder(lines);
    write('out', 'stdout');
    write('err', 'stderr');
    write('out again\n', 'stdout');
    expect(allOf(lines)).toEqual(['out', 'err', 'out again']);
    expect([0, 1, 2].map((line) => lines.stream(line))).toEqual(['stdout', 'stderr', 'stdout']);
    expect([0, 1, 2].map((line) => lines.endsWithNewline(line))).toEqual([false, false, true]);
  });

  test('ends after 64 KiB', () => {
    const lines = new OutputLines();
    recorder(lines)(`${'x'.repeat(LINE_BYTES_MAX + 10)}\nend`);
    expect(lines.text(0)?.length).toBe(LINE_BYTES_MAX);
    expect(lines.text(1)).toBe('xxxxxxxxxx');
    expect(lines.text(2)).toBe('end');
  });

  test('keeps a character whose bytes came in two events', () => {
    const lines = new OutputLines();
    lines.append({ stream: 'stdout', position: 0, length: 3, line: 0, ms: 0, base64: btoa('\xc3\xa3\xc3') });
    lines.append({ stream: 'stdout', position: 3, length: 2, line: 0, ms: 1, base64: btoa('\xa9\n') });
    expect(allOf(lines)).toEqual(['ãé']);
  });

  test('shows bytes that are not text as U+FFFD', () => {
    const lines = new OutputLines();
    lines.append({ stream: 'stdout', position: 0, length: 2, line: 0, ms: 0, base64: btoa('\xffA') });
    expect(lines.text(0)).toBe('\ufffdA');
  });
});

test('any split of the same bytes gives the same lines', () => {
  const text = `${'a\n\n\x1b[31mred\r\nlong '.repeat(40)}${'ü€😀\n'.repeat(300)}open end`;
  const whole = new OutputLines();
  recorder(whole)(text);
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let round = 0; round < 20; round++) {
    const split = new OutputLines();
    const write = recorder(split);
    const characters = [...text];
    while (characters.length > 0) write(characters.splice(0, 1 + random(60)).join(''));
    expect(allOf(split)).toEqual(allOf(whole));
    for (let line = 0; line < whole.count; line++) expect(split.styleAtStart(line)).toEqual(whole.styleAtStart(line));
  }
});

test('an event that comes again changes nothing', () => {
  const lines = new OutputLines();
  const write = recorder(lines);
  const pieces = [write('one\n'), write('two'), write(' and\nthree\n')];
  for (const piece of pieces) expect(lines.append(piece)).toBe(false);
  expect(allOf(lines)).toEqual(['one', 'two and', 'three']);
});

test('lines survive over many pages', () => {
  const lines = new OutputLines();
  const write = recorder(lines);
  for (let i = 0; i < 50; i++) write(Array.from({ length: 77 }, (_, k) => `line ${i * 77 + k}\n`).join(''));
  expect(lines.count).toBe(3850);
  expect(lines.text(0)).toBe('line 0');
  expect(lines.text(PAGE_LINES)).toBe(`line ${PAGE_LINES}`);
  expect(lines.text(3849)).toBe('line 3849');
});

describe('limits', () => {
  test('the oldest lines are dropped and the newest keep their numbers', () => {
    const lines = new OutputLines({ bytes: 1e9, lines: 1000 });
    const write = recorder(lines);
    for (let i = 0; i < 5000; i++) write(`line ${i}\n`);
    expect(lines.count).toBe(5000);
    expect(lines.count - lines.firstHeld).toBeLessThanOrEqual(1000);
    expect(lines.text(lines.firstHeld - 1)).toBeUndefined();
    expect(lines.text(lines.firstHeld)).toBe(`line ${lines.firstHeld}`);
    expect(lines.text(4999)).toBe('line 4999');
  });

  test('memory stays within the limit in bytes', () => {
    const lines = new OutputLines({ bytes: 1_000_000, lines: 1e9 });
    const write = recorder(lines);
    for (let i = 0; i < 3000; i++) write(`${'x'.repeat(1000)}\n`);
    expect(lines.heldBytes).toBeLessThanOrEqual(1_000_000);
    expect(lines.text(2999)?.length).toBe(1000);
  });
});

describe('holes', () => {
  test('a gap closes the open line and is remembered', () => {
    const lines = new OutputLines();
    lines.append({ stream: 'stdout', position: 0, length: 3, line: 0, ms: 0, text: 'abc' });
    lines.noteGap(3, 103, 'spool_quota');
    lines.append({ stream: 'stdout', position: 103, length: 4, line: 1, ms: 1, text: 'def\n' });
    expect(allOf(lines)).toEqual(['abc', 'def']);
    expect(lines.gaps).toEqual([{ line: 1, bytes: 100, reason: 'spool_quota' }]);
  });

  test('output that begins later keeps its line numbers', () => {
    const lines = new OutputLines();
    lines.append({ stream: 'stdout', position: 9000, length: 4, line: 300, ms: 0, text: 'a\nb\n' });
    expect(lines.firstHeld).toBe(300);
    expect(lines.count).toBe(302);
    expect(lines.text(300)).toBe('a');
    expect(lines.text(299)).toBeUndefined();
    expect(lines.gaps[0]?.bytes).toBe(9000);
  });
});

describe('colours', () => {
  test('carry over to the following lines of the same stream', () => {
    const lines = new OutputLines();
    const write = recorder(lines);
    write('\x1b[31mred\nstill red\n');
    write('error\n', 'stderr');
    write('red too\x1b[0m\nplain\n');
    expect([0, 1, 2, 3, 4].map((line) => lines.styleAtStart(line).foreground)).toEqual(['', '1', '', '1', '']);
  });

  test('carry over from a line that was written in parts', () => {
    const lines = new OutputLines();
    const write = recorder(lines);
    write('\x1b[3');
    write('2mgreen');
    write('\nnext\n');
    expect(lines.styleAtStart(0).foreground).toBe('');
    expect(lines.styleAtStart(1).foreground).toBe('2');
  });
});
