// Runs before everything else, as a classic script: what the page will ask for first, which so travels while its code
// does, and the theme, so that nobody sees a flash of the other one (kept in step with lib/state/prefs.svelte.ts).
(() => {
  askEarly(document.currentScript.dataset.task?.split(' ') ?? []); // first: the storage may take a while to open
  document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';

  function isDark() {
    let choice = 'system';
    try {
      choice = JSON.parse(localStorage.getItem('mission-control:prefs') ?? '{}').theme ?? 'system';
    } catch {
      // Storage may be forbidden or hold something old; the system's theme is a good answer then.
    }
    return choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  }

  /** `taskFiles`: what a task's page is made of. */
  function askEarly(taskFiles) {
    if (location.hash.startsWith('#signin=')) return; // nobody is signed in yet
    /** As lib/api/early.ts takes them: by address. */
    const asked = new Map();
    window.missionControlEarly = asked;
    const ask = (path) => {
      const response = fetch(path, { priority: 'high' }).then(withText);
      response.catch(() => {}); // whoever takes it hears of it
      asked.set(path, { sentAt: Date.now(), response });
    };
    ask('/api/auth/me');
    const [, task] = /^\/tasks\/([^/]+)\/?$/.exec(location.pathname) ?? [];
    if (!task) return;
    // What a link to a task is opened for is its newest lines.
    ask(`/api/mission-control/tasks/${task}`);
    ask(`/api/mission-control/tasks/${task}/output/lines?tail=200`);
    for (const file of taskFiles) {
      const link = document.createElement('link');
      const isStyle = file.endsWith('.css');
      link.rel = isStyle ? 'preload' : 'modulepreload';
      if (isStyle) link.as = 'style';
      link.crossOrigin = '';
      link.href = file;
      document.head.append(link);
    }
  }

  /** Its text is read at once: whoever takes it waits for nothing, and draws it with the first frame. */
  async function withText(response) {
    if (!response.ok) return response;
    const text = await response.text();
    response.text = async () => text;
    return response;
  }
})();
