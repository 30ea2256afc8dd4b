// Hands key presses to whoever handles their command. Silent in fields, dialogs and menus, where keys mean text or
// belong to the widget, and never in the way of the browser's own combinations.
import { type Command, type KeyHandlers, keyOf, step } from './registry';

/** Between the two keys of a sequence. */
const SEQUENCE_MS_MAX = 1_200;

class Keyboard {
  isOn: () => boolean = () => true;
  #handlers: KeyHandlers[] = [];
  #pending = '';
  #pressedAt = 0;

  /** Listens until the returned function is called. */
  start(): () => void {
    window.addEventListener('keydown', this.#press);
    return () => window.removeEventListener('keydown', this.#press);
  }

  /** Adds handlers for as long as a screen is shown: `$effect(() => keyboard.on({ … }))`. */
  on(handlers: KeyHandlers): () => void {
    this.#handlers.push(handlers);
    return () => {
      this.#handlers = this.#handlers.filter((it) => it !== handlers);
    };
  }

  #press = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.altKey || event.isComposing || event.key === 'Shift') return;
    const hasMod = event.ctrlKey || event.metaKey;
    // A combination is no text, so it works in fields too, and switching off single keys leaves it (WCAG 2.1.4).
    if (hasMod ? event.shiftKey || hasLayer() : !this.isOn() || belongsToWidget(event.target)) return;
    const pending = !hasMod && event.timeStamp - this.#pressedAt < SEQUENCE_MS_MAX ? this.#pending : '';
    const { pending: rest, commands } = step(pending, hasMod ? `Mod+${keyOf(event)}` : keyOf(event));
    this.#pending = rest;
    this.#pressedAt = event.timeStamp;
    const handler = this.#handlerOf(commands);
    if (handler) {
      event.preventDefault();
      handler(event);
    }
  };

  #handlerOf(commands: Command[]): ((event: KeyboardEvent) => void) | undefined {
    for (const handlers of this.#handlers.toReversed()) {
      for (const command of commands) if (handlers[command]) return handlers[command];
    }
    return undefined;
  }
}

/** Whether something is open that has the keys for itself. */
function hasLayer(): boolean {
  return (
    document.querySelector('[role="dialog"][data-state="open"], [role="menu"][data-state="open"], dialog[open]') !==
    null
  );
}

function belongsToWidget(target: EventTarget | null): boolean {
  if (hasLayer()) return true;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest('[role="listbox"], [role="combobox"]')) return true;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

export const keyboard = new Keyboard();
