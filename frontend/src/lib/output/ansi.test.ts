import { describe, expect, test } from 'vitest';
import { BOLD, DIM, INVERSE, PLAIN, spansOf, styleAfter, UNDERLINE, visibleText } from './ansi';

const styled = (line: string) =>
  spansOf(line).map((span) => [span.text, span.style.foreground, span.style.background, span.style.attributes]);

describe('colours and attributes', () => {
  test('text without escapes is one plain span', () => {
    expect(spansOf('hello')).toEqual([{ text: 'hello', style: PLAIN, isControl: false, link: '' }]);
    expect(spansOf('')).toEqual([]);
  });

  test('the sixteen colours, on and off', () => {
    expect(styled('\x1b[31mred\x1b[0m plain \x1b[94;41mblue on red\x1b[39;49m off')).toEqual([
      ['red', '1', '', 0],
      [' plain ', '', '', 0],
      ['blue on red', '12', '1', 0],
      [' off', '', '', 0],
    ]);
  });

  test('attributes are switched one by one', () => {
    expect(
      styled('\x1b[1;4mA\x1b[2mB\x1b[22mC\x1b[7mD\x1b[mE').map(([text, , , attributes]) => [text, attributes]),
    ).toEqual([
      ['A', BOLD | UNDERLINE],
      ['B', BOLD | UNDERLINE | DIM],
      ['C', UNDERLINE],
      ['D', UNDERLINE | INVERSE],
      ['E', 0],
    ]);
  });

  test.each([
    ['\x1b[38;5;9mx', '9'],
    ['\x1b[38;5;196mx', '255,0,0'],
    ['\x1b[38;5;244mx', '128,128,128'],
    ['\x1b[38;2;1;2;3mx', '1,2,3'],
    ['\x1b[38:2::10:20:30mx', '10,20,30'],
    ['\x1b[38:2:10:20:30mx', '10,20,30'],
    ['\x1b[38:5:21mx', '0,0,255'],
    ['\x1b[38;2;999;2;3mx', ''],
    ['\x1b[38;5mx', ''],
  ])('extended colour %j', (line, colour) => {
    expect(spansOf(line)[0]?.style.foreground).toBe(colour);
  });

  test('an extended colour does not swallow what follows it', () => {
    expect(styled('\x1b[38;5;200;1mx')).toEqual([['x', '255,0,215', '', BOLD]]);
    expect(styled('\x1b[48;2;1;2;3;4mx')).toEqual([['x', '', '1,2,3', UNDERLINE]]);
  });

  test('a line starts in the style that earlier lines left on', () => {
    const before = styleAfter('\x1b[1;32mstart', PLAIN);
    expect(spansOf('going on', before)[0]?.style).toEqual({ foreground: '2', background: '', attributes: BOLD });
    expect(styleAfter('end\x1b[0m', before)).toEqual(PLAIN);
  });
});

describe('what is dropped', () => {
  test.each([
    ['cursor movement', 'a\x1b[2Kb\x1b[10;20Hc', 'abc'],
    ['a window title', '\x1b]0;title\x07text', 'text'],
    ['a link', '\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['a device string', '\x1bP1$r0m\x1b\\after', 'after'],
    ['a character set', '\x1b(Btext', 'text'],
    ['private modes', '\x1b[?25lhidden cursor\x1b[?25h', 'hidden cursor'],
    ['a sequence cut by the end', 'text\x1b[31', 'text'],
    ['a lone escape', 'text\x1b', 'text'],
  ])('%s', (_, line, text) => {
    expect(visibleText(line)).toBe(text);
    expect(
      spansOf(line)
        .map((span) => span.text)
        .join(''),
    ).toBe(text);
  });
});

describe('links', () => {
  const linked = (line: string) => spansOf(line).map((span) => [span.text, span.link]);

  test('to the web are kept, up to where they end', () => {
    expect(linked('see \x1b]8;;https://example.com/a?b=1\x1b\\the page\x1b]8;;\x1b\\ now')).toEqual([
      ['see ', ''],
      ['the page', 'https://example.com/a?b=1'],
      [' now', ''],
    ]);
    expect(linked('\x1b]8;id=1;http://example.com\x07text\x1b]8;;\x07')).toEqual([['text', 'http://example.com/']]);
  });

  test.each([
    'javascript:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'ssh://host',
    '//example.com',
    'https://',
    ' https://example.com',
  ])('to anything else are none: %s', (address) => {
    expect(linked(`\x1b]8;;${address}\x1b\\text`)).toEqual([['text', '']]);
  });

  test('are made by no other command', () => {
    expect(linked('\x1bP8;;https://example.com\x1b\\text')).toEqual([['text', '']]);
  });
});

describe('carriage returns', () => {
  test('a progress bar shows its last state', () => {
    expect(visibleText('10 %\r50 %\r100 %')).toBe('100 %');
    expect(visibleText('10 %\r50 %\r')).toBe('50 %');
    expect(visibleText('text\r')).toBe('text');
    expect(visibleText('\r\r')).toBe('');
  });

  test('colours of what was overwritten still count', () => {
    expect(spansOf('\x1b[32m10 %\r100 %')[0]?.style.foreground).toBe('2');
  });
});

describe('characters that cannot be seen', () => {
  test('are shown by a sign, in place', () => {
    expect(spansOf('a\x00b\x07').map((span) => [span.text, span.isControl])).toEqual([
      ['a', false],
      ['\u2400', true],
      ['b', false],
      ['\u2407', true],
    ]);
  });

  test('cannot turn the text around', () => {
    const line = 'access = "user\u202e \u2066// check\u2069"';
    const shown = spansOf(line)
      .map((span) => span.text)
      .join('');
    expect(shown).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
    expect(shown.length).toBe(visibleText(line).length);
  });

  test('tabs stay', () => {
    expect(spansOf('a\tb')).toHaveLength(1);
  });
});

test('columns of the spans are columns of the visible text', () => {
  const line = '\x1b[1mbold\x1b[0m \u202ex\x00 \x1b]0;t\x07y\x7f';
  expect(spansOf(line).reduce((length, span) => length + span.text.length, 0)).toBe(visibleText(line).length);
});
