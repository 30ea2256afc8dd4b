/** Attach to what ends a list: `then` is called whenever it comes into sight. */
export function whenSeen(then: () => void): (element: HTMLElement) => () => void {
  return (element) => {
    const observer = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) then();
    });
    observer.observe(element);
    return () => observer.disconnect();
  };
}
