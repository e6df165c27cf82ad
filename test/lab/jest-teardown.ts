export default async function tearDown(): Promise<void> {
  const lab = globalThis.keyturnLab;
  globalThis.keyturnLab = undefined;
  await lab?.stop();
}
