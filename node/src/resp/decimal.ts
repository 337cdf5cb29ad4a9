const ZERO = 0x30;
const PART = 10_000_000;

/** Digits of a whole number from 0 to 999,999,999. */
function digitCount(value: number): number {
  if (value < 1000) return value < 10 ? 1 : value < 100 ? 2 : 3;
  if (value < 1_000_000) return value < 10_000 ? 4 : value < 100_000 ? 5 : 6;
  return value < 10_000_000 ? 7 : value < 100_000_000 ? 8 : 9;
}

/** Writes exactly `digits` digits of `value`, which has no more, with zeros in front; returns the offset behind them. */
function writeDigits(value: number, digits: number, target: Uint8Array, at: number): number {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place -= 1) {
    const tenth = (rest / 10) | 0;
    target[place] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return at + digits;
}

/** Writes a whole number from 0 to 999,999,999. */
function writeSmall(value: number, target: Uint8Array, at: number): number {
  return writeDigits(value, digitCount(value), target, at);
}

/** Writes a whole number from 0 to 2^53 - 1 in decimal to `target[at]`; returns the offset behind it. */
export function writeDecimal(value: number, target: Uint8Array, at: number): number {
  // Small integers from here on: dividing those is several times as fast.
  if (value < 1_000_000_000) return writeSmall(value | 0, target, at);
  const high = Math.floor(value / PART);
  return writeDigits((value - high * PART) | 0, 7, target, writeSmall(high | 0, target, at));
}
