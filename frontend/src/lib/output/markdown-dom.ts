/**
 * Markdown tokens to elements. Built node by node from text, never from an HTML string: what an agent
 * writes can become a heading or a link, and nothing else. HTML in it is shown as it was written.
 */
import { safeAddress, type Token, type Tokens } from './markdown';

type Child = Node | string;

function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  children: Child[] = [],
  className = '',
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function elementsOf(tokens: readonly Token[]): Child[] {
  return tokens.flatMap(nodesOf);
}

function nodesOf(given: Token): Child[] {
  const token = given as Tokens.Generic;
  const inner = () => elementsOf(token.tokens ?? []);
  switch (token.type) {
    case 'space':
    case 'def':
      return [];
    case 'heading':
      return [headingOf(token as Tokens.Heading, inner())];
    case 'paragraph':
      return [make('p', inner())];
    case 'blockquote':
      return [make('blockquote', inner())];
    case 'hr':
      return [make('hr')];
    case 'br':
      return [make('br')];
    case 'code':
      return [codeBlock(token as Tokens.Code)];
    case 'list':
      return [listOf(token as Tokens.List)];
    case 'table':
      return [tableOf(token as Tokens.Table)];
    case 'strong':
    case 'em':
    case 'del':
      return [make(token.type, inner())];
    case 'codespan':
      return [make('code', [token.text])];
    case 'link':
      return [linkOf(token as Tokens.Link, inner())];
    case 'image':
      return [linkOf(token as Tokens.Image, [`Image: ${token.text || token.href}`])];
    case 'escape':
      return [token.text];
    case 'checkbox':
      return [make('span', [token.checked ? '☑ ' : '☐ '])];
    case 'text':
      return token.tokens ? inner() : [withEntities(token.text)];
    case 'html':
      if (/^<br\s*\/?>$/i.test(token.raw.trim())) return [make('br')];
      return token.block ? [make('p', [token.raw.trimEnd()], 'markdown-plain')] : [token.raw];
    default:
      return [token.raw ?? ''];
  }
}

/** The page has its own h1 and h2. */
function headingOf(token: Tokens.Heading, children: Child[]): HTMLElement {
  const element = make(`h${Math.min(6, token.depth + 2)}` as 'h3', children);
  element.dataset.depth = `${token.depth}`;
  return element;
}

function codeBlock(token: Tokens.Code): HTMLElement {
  const copy = make('button', ['Copy'], 'markdown-copy');
  copy.type = 'button';
  copy.addEventListener('click', async () => {
    await navigator.clipboard?.writeText(token.text);
    copy.textContent = 'Copied';
    setTimeout(() => {
      copy.textContent = 'Copy';
    }, 1500);
  });
  const language = (token.lang ?? '').split(/\s/)[0] ?? '';
  const code = make('pre', [make('code', [token.text])]);
  code.tabIndex = 0; // scrolls sideways
  return make('figure', [make('figcaption', [make('span', [language]), copy]), code], 'markdown-code');
}

function listOf(token: Tokens.List): HTMLElement {
  const items = token.items.map((item) => {
    const element = make('li', elementsOf(item.tokens));
    if (item.task) element.className = 'is-task';
    return element;
  });
  if (!token.ordered) return make('ul', items);
  const list = make('ol', items);
  if (typeof token.start === 'number') list.start = token.start;
  return list;
}

function tableOf(token: Tokens.Table): HTMLElement {
  const cell = (name: 'th' | 'td', { tokens, align }: Tokens.TableCell) => {
    const element = make(name, elementsOf(tokens));
    if (align) element.style.textAlign = align;
    return element;
  };
  const table = make('table', [
    make('thead', [
      make(
        'tr',
        token.header.map((header) => cell('th', header)),
      ),
    ]),
    make(
      'tbody',
      token.rows.map((row) =>
        make(
          'tr',
          row.map((data) => cell('td', data)),
        ),
      ),
    ),
  ]);
  const scroller = make('div', [table], 'markdown-table');
  scroller.tabIndex = 0;
  return scroller;
}

function linkOf(token: Tokens.Link | Tokens.Image, children: Child[]): HTMLElement {
  const address = safeAddress(token.href);
  if (address === null) return make('span', children);
  const link = make('a', children);
  link.href = address;
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
  if (token.title) link.title = token.title;
  return link;
}

/** Character references (`&copy;`, `&#8364;`) by the browser's own table; only the reference itself is parsed. */
function withEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#\d{1,7}|#[xX][\da-fA-F]{1,6}|[A-Za-z][A-Za-z\d]{1,31});/g, (reference) => {
    const parsed = new DOMParser().parseFromString(reference, 'text/html');
    return parsed.documentElement.textContent ?? reference;
  });
}
