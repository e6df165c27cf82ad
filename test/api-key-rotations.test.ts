import { accepted, createApiKey, keyDocument } from './testbed/api-keys';
import { startFakeKeyService } from './testbed/fake-key-service';
import type { FakeKeyService } from './testbed/fake-key-service';
import { openTestbed } from './testbed/testbed';
import type { Testbed } from './testbed/testbed';
import { until } from './testbed/until';

let bed: Testbed;
let service: FakeKeyService;
beforeAll(async () => {
  [bed, service] = await Promise.all([openTestbed(), startFakeKeyService({ maxKeys: 100 })]);
  bed.alsoSecret(() => service.everyValue());
  await bed.startWorker();
});
afterAll(async () => {
  await bed.close();
  await service.stop();
});

test('a key is replaced by another: both work in the grace period, then only the new one', async () => {
  const old = await createApiKey(bed, service, 'api/replaced');
  const handle = await bed.start('api/replaced');
  const offered = await until('the new key is offered', async () => {
    const document = await keyDocument(bed, 'api/replaced-secondary');
    return document?.key === undefined ? undefined : document;
  });
  expect(offered).toMatchObject({
    endpoint: service.url,
    phaseInPercent: 0,
    graceEndsAt: expect.any(String) as string,
  });
  expect(await accepted(service, old.value)).toBe(true);
  expect(await accepted(service, offered.key ?? '')).toBe(true);

  expect(await handle.result()).toMatchObject({ outcome: 'rotated', type: 'api-key' });
  expect(await keyDocument(bed, 'api/replaced')).toEqual({
    endpoint: service.url,
    keyId: offered.keyId,
    key: offered.key,
  });
  expect(await accepted(service, old.value)).toBe(false);
  expect(await accepted(service, offered.key ?? '')).toBe(true);
  expect(await keyDocument(bed, 'api/replaced-secondary')).toBeUndefined();
});
