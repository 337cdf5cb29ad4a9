import type { EventStore } from '../types.ts';
import { type ObservedEvent, partitionPage } from './observed.ts';

/** All events of a store, partition by partition. */
export async function eventsOf(store: EventStore): Promise<ObservedEvent[]> {
  const events: ObservedEvent[] = [];
  for (let partition = 0; partition < store.facts.partitionCount; partition += 1) {
    const page = await partitionPage(store, { partition, from: 0, to: Infinity });
    events.push(...page.events);
  }
  return events;
}
