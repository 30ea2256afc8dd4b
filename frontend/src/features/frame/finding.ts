// Which items of the palette a text finds, best first. Pure.
import type { PaletteItem } from '../../lib/state/palette.svelte';

/** How well a text names an item: 0 its beginning, 1 the beginning of a word, 2 inside, null not at all. */
export function closeness(item: Pick<PaletteItem, 'label' | 'detail' | 'words'>, text: string): number | null {
  const label = item.label.toLowerCase();
  const all = `${label} ${item.detail ?? ''} ${item.words ?? ''}`.toLowerCase();
  const sought = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!sought.every((word) => all.includes(word))) return null;
  const [first = ''] = sought;
  if (label.startsWith(first)) return 0;
  return sought.every((word) => ` ${all.replace(/[^\p{L}\p{N}]+/gu, ' ')}`.includes(` ${word}`)) ? 1 : 2;
}

/** The items that a text finds: groups stay together, in the order of their best one; what was used lately first. */
export function found(items: readonly PaletteItem[], text: string, recent: readonly string[]): PaletteItem[] {
  const age = (item: PaletteItem) => {
    const index = recent.indexOf(item.id);
    return index < 0 ? recent.length : index;
  };
  const fitting = items
    .map((item, place) => ({ item, place, closeness: closeness(item, text) }))
    .filter((one): one is typeof one & { closeness: number } => one.closeness !== null)
    .sort((a, b) => a.closeness - b.closeness || age(a.item) - age(b.item) || a.place - b.place);
  const groups = new Map<string, PaletteItem[]>();
  for (const { item } of fitting) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  return [...groups.values()].flat();
}
