/** Delays in milliseconds that double up to a maximum, each shortened by chance by up to half. */
export class Backoff {
  constructor(first = 500, max = 60_000) {
    this.first = first;
    this.max = max;
    this.tries = 0;
  }

  /** It worked: the next delay is the first again. */
  reset() {
    this.tries = 0;
  }

  /** The next delay; `chance` is between 0 and 1. */
  next(chance = Math.random()) {
    const whole = Math.min(this.first * 2 ** Math.min(this.tries, 20), this.max);
    this.tries += 1;
    return whole / 2 + (whole / 2) * chance;
  }
}
