// Runs before the first paint, so that nobody sees a flash of the other theme. Kept in step with lib/state/prefs.svelte.ts.
(() => {
  let choice = 'system';
  try {
    choice = JSON.parse(localStorage.getItem('mission-control:prefs') ?? '{}').theme ?? 'system';
  } catch {
    // Storage may be forbidden or hold something old; the system's theme is a good answer then.
  }
  const dark = choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
