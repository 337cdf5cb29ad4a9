/** Quantities as Kubernetes writes them: `10Gi`, `500M`, `1.5Ti`, `1e9`. */

const units: Readonly<Record<string, number>> = {
  '': 1,
  ...{ m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 },
};

/** Whole bytes, rounded up; null where it is none. */
export function bytesOfQuantity(quantity: string): number | null {
  const [, digits = '', exponent, unit = ''] =
    /^(\+?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|([a-zA-Z]{0,2}))$/.exec(quantity) ?? [];
  const factor = exponent === undefined ? units[unit] : 10 ** Number(exponent);
  if (digits === '' || factor === undefined) return null;
  return Math.ceil(Number(digits) * factor);
}

/** In the largest binary unit that has no fraction: as people write sizes. */
export function quantityOfBytes(bytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki'] as const) {
    const factor = units[unit] ?? 1;
    if (bytes > 0 && bytes % factor === 0) return `${String(bytes / factor)}${unit}`;
  }
  return String(bytes);
}
