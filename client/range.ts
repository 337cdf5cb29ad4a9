import { InvalidArgumentError } from './errors.ts';
import type { Page, PageOptions, RangeOptions, StoredEvent } from './types.ts';

const PAGE_EVENTS = 500;

/** Reads a range page by page; the next page is on its way while the loop works on this one. */
export async function* readRange(
  options: RangeOptions,
  readPage: (range: PageOptions) => Promise<Page>,
): AsyncGenerator<StoredEvent, void, undefined> {
  const { limit = Infinity, pageEvents = PAGE_EVENTS, ...rest } = options;
  if (!(limit >= 0)) throw new InvalidArgumentError(`limit must be 0 or more, but got ${limit}`);
  let left = limit;
  let from = options.from ?? 0;
  const fetch = (): Promise<Page> => {
    const page = readPage({ ...rest, from, limit: Math.min(left, pageEvents) });
    // A loop that is left early never looks at it.
    page.catch(() => undefined);
    return page;
  };
  let coming = left > 0 ? fetch() : null;
  while (coming !== null) {
    const page: Page = await coming;
    left -= page.events.length;
    from = page.next;
    coming = page.hasMore && left > 0 && page.events.length > 0 ? fetch() : null;
    yield* page.events;
  }
}
