// The screens. The board is part of the dashboard's first code; the code of the others comes when they are opened.
import type { Component } from 'svelte';
import type { Route } from '../../lib/router';

export type Page = Component<{ id: string }>;

const LAZY = {
  task: () => import('../task/TaskPage.svelte'),
  approvals: () => import('../approvals/ApprovalsPage.svelte'),
  desktops: () => import('../desktops/DesktopsPage.svelte'),
  desktop: () => import('../desktops/DesktopPage.svelte'),
  overview: () => import('../overview/OverviewPage.svelte'),
  batches: () => import('../batches/BatchesPage.svelte'),
  batch: () => import('../batches/BatchPage.svelte'),
  search: () => import('../search/SearchPage.svelte'),
  settings: () => import('../settings/SettingsPage.svelte'),
  reference: () => import('../reference/ReferencePage.svelte'),
};

type LazyName = keyof typeof LAZY;

const here = new Map<LazyName, Page>();

export const isLazy = (name: Route['name']): name is LazyName => name in LAZY;

/** The screen, where its code is here. */
export const pageOf = (name: LazyName): Page | undefined => here.get(name);

/** Gets the code of a screen. Throws when it does not come. */
export async function loadPage(name: LazyName): Promise<Page> {
  const page = (await LAZY[name]()).default as unknown as Page;
  here.set(name, page);
  return page;
}
