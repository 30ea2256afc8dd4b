// Adding a desktop, and finishing one that was left half-way: address, host key, check, agent.

class Adding {
  isOpen = $state(false);
  /** The desktop that is being finished; null while its address is not known. */
  desktopId = $state<string | null>(null);
  /** Start the check as soon as the dialog is open. */
  startsCheck = $state(false);

  add(): void {
    this.desktopId = null;
    this.startsCheck = false;
    this.isOpen = true;
  }

  finish(desktopId: string, startsCheck = false): void {
    this.desktopId = desktopId;
    this.startsCheck = startsCheck;
    this.isOpen = true;
  }
}

export const adding = new Adding();
