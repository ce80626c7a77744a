"""fhirpy, as it comes: create, search, page, subscribe, receive.

Arguments: URL of the base, the Subscription as JSON. Prints one line of JSON.
"""

import asyncio
import json
import sys

import aiohttp
from fhirpy import AsyncFHIRClient


async def main(url, subscription):
    client = AsyncFHIRClient(url)
    ids = []
    for _ in range(5):
        patient = client.resource("Patient", gender="other", active=True)
        await patient.save()
        ids.append(patient.id)
    found = await client.resources("Patient").search(gender="other").limit(2).fetch_all()
    assert {one.id for one in found} >= set(ids), f"{len(found)} found"
    first = await client.resources("Patient").search(_id=ids[0]).get()
    first["active"] = False
    await first.save()
    assert first["meta"]["versionId"] == "2", first

    subscription = client.resource("Subscription", **subscription)
    await subscription.save()
    path = f"Subscription/{subscription.id}/$get-ws-binding-token"
    answer = await client.execute(path, method="get")
    values = {one["name"]: one for one in answer["parameter"]}
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(values["websocket-url"]["valueUrl"]) as socket:
            await socket.send_str("bind-with-token " + values["token"]["valueString"])
            await socket.receive_json()
            await client.resource("Patient", name=[{"family": "Told"}]).save()
            told = await socket.receive_json()
            await first.delete()
            deleted = await socket.receive_json()
    print(json.dumps({"told": told, "deleted": deleted}))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
