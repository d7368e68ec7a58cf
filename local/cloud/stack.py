"""The template's resources in moto's stores, and a server of AWS's APIs for them on loopback.

moto keeps its stores in the process, so there is one stack at a time.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING, Any

from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json, get_model_map
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends
from werkzeug import Response
from werkzeug.serving import make_server

from local.cloud import moto_access, moto_properties, moto_speed, moto_types  # noqa: F401  # the last ones change moto
from local.cloud.access import ACCOUNT, REGION
from local.cloud.errors import TemplateError
from local.cloud.meter import Meter
from local.cloud.moto_atomic import one_at_a_time
from local.cloud.moto_stacks import failure_of, public_address
from local.cloud.signature import signed_for, signer
from local.cloud.template import ARTIFACT_BUCKET, Template
from web.guard import Guarded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


# otherwise any web page could read every response
setattr(werkzeug_app, "DISABLE_GLOBAL_CORS", True)  # noqa: B010  # mypy knows nothing of it

_OWN_PATHS_OF_MOTO = ("/moto-api", "/favicon.ico", "/latest/")
_HEADERS = "local.headers"


class LocalResources:
    """The resources of a template, created; `resources` maps logical to physical ids."""

    def __init__(self, name: str, template: Template, secrets: Mapping[str, str]) -> None:
        """Create all resources, without IAM enforcement. Raises TemplateError for types that are not simulated."""
        types = {resource["Type"] for resource in template.document["Resources"].values()}
        if unknown := sorted(types - set(get_model_map())):
            raise TemplateError(f"the local cloud does not simulate {', '.join(unknown)}")
        clear()
        _upload_artifacts(template.document["Resources"])
        for secret_name, value in secrets.items():
            ssm_backends[ACCOUNT][REGION].put_parameter(
                name=secret_name,
                description="",
                value=value,
                parameter_type="SecureString",
                allowed_pattern="",
                keyid="alias/aws/ssm",
                overwrite=False,
                tags=[],
                data_type="text",
                tier=None,
                policies=None,
            )
        self._template = template.document
        self._stack = cloudformation_backends[ACCOUNT][REGION].create_stack(
            name, json.dumps(template.document, default=str), dict(template.parameters)
        )
        if self._stack.status != "CREATE_COMPLETE":
            raise TemplateError(f"the stack was not created: {failure_of(self._stack)}")
        created = {name: self._stack.resource_map[name] for name in template.document["Resources"]}
        self.resources = {
            name: str(getattr(model, "physical_resource_id", name))  # moto's permissions have no id
            for name, model in created.items()
            if model is not None
        }

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs by name."""
        return {output.key: str(output.value) for output in self._stack.output_map.values()}

    def serve_api_at(self, api_id: str, url: str) -> None:
        """Let the stack's outputs, as AWS tells them, name the address at which the API is served."""
        vars(self._stack)["local_addresses"] = {public_address(api_id): url}

    def of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the logical id and the resolved properties of each created resource of a type."""
        for name, resource in self._template["Resources"].items():
            if resource["Type"] == kind and name in self.resources:
                yield name, clean_json(resource.get("Properties", {}), self._stack.resource_map)


def clear() -> None:
    """Delete everything in moto's stores, and stop enforcing IAM."""
    moto_access.enforce(enabled=False)
    BackendDict.reset()
    reset_model_data()


def _upload_artifacts(resources: Mapping[str, Any]) -> None:
    """Upload placeholders where moto looks for code; the functions' processes run the project's own files."""
    bucket = s3_backends[ACCOUNT]["aws"].create_bucket(ARTIFACT_BUCKET, REGION)
    for resource in resources.values():
        properties = resource.get("Properties", {})
        for code in (properties.get("Code", {}), properties.get("Content", {})):
            if "S3Key" in code:
                s3_backends[ACCOUNT]["aws"].put_object(bucket.name, code["S3Key"], b"local")


class AwsServer:
    """Serves moto over HTTP on a free port of 127.0.0.1 until it is closed.

    It refuses requests that are not signed with a key of the account, requests from web pages, and the paths of moto's
    own API. `note`, if given, is called with each request and its body after it is served and before the response is
    sent. `meter`, if given, counts what is served. `proxy_ports` are further ports at which clients reach the server.
    """

    def __init__(
        self,
        note: Callable[[WSGIEnvironment, bytes], None] | None = None,
        proxy_ports: Collection[int] = (),
        meter: Meter | None = None,
    ) -> None:
        self._note, self._meter = note, meter
        self._application: WSGIApplication = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Handler)
        self._server.proxy_ports = proxy_ports  # type: ignore[attr-defined]  # the guard looks for it
        self._server.daemon_threads = True  # type: ignore[attr-defined]  # the threaded server has it
        self._server.block_on_close = False  # type: ignore[attr-defined]  # clients keep connections open
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """The endpoint of every AWS service."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if refusal := _refusal(environ, body):
            return refusal(environ, start_response)
        if _waits_for_other_requests(environ):
            return self._application(environ, start_response)
        with one_at_a_time:  # note each change before the next one
            answer = self._application(environ, start_response)
            if self._note:
                self._note(environ, body)
            if self._meter:
                answer = list(answer)
                self._meter.count(environ, body, b"".join(answer))
            return answer


def _refusal(environ: WSGIEnvironment, body: bytes) -> Response | None:
    """Return the refusal of a request that is unsigned or for moto's own API; None if moto may serve it.

    moto requires no signature where AWS needs none, and under some paths never.
    """
    if environ["PATH_INFO"].startswith(_OWN_PATHS_OF_MOTO):
        return _error("AccessDenied", "The local cloud does not serve this path.", environ)
    headers: Message = environ[_HEADERS]
    # a chunked body was not read above, so its signature cannot be checked
    is_whole = "Transfer-Encoding" not in headers
    if is_whole and signer(environ["REQUEST_METHOD"], environ["RAW_URI"], headers, body, datetime.now(UTC)):
        return None
    return _error("SignatureDoesNotMatch", "The request is not signed with a key of this account.", environ)


def _error(code: str, message: str, environ: WSGIEnvironment) -> Response:
    """Return an error in the format of the requested service: JSON or XML."""
    if "HTTP_X_AMZ_TARGET" in environ or signed_for(environ[_HEADERS])[1] == "lambda":
        text = json.dumps({"__type": code, "message": message})
        return Response(text, 403, {"x-amzn-ErrorType": code}, mimetype="application/json")
    inner = f"<Code>{code}</Code><Message>{message}</Message>"
    is_s3 = signed_for(environ[_HEADERS])[1] in {"", "s3"}
    text = f"<Error>{inner}</Error>" if is_s3 else f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>"
    return Response(text, 403, mimetype="application/xml")


def _waits_for_other_requests(environ: WSGIEnvironment) -> bool:
    """Return whether the request waits for others: invocations of functions and reads of a queue do."""
    is_invocation: bool = environ["PATH_INFO"].startswith("/2015-03-31/functions/")
    return is_invocation or environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage"


class _Handler(Guarded, MotoRequestHandler):
    protocol_version = "HTTP/1.1"  # clients reuse their connections
    wbufsize = 1 << 16  # headers and body in one segment: else Nagle's algorithm costs 40 ms a call

    def make_environ(self) -> WSGIEnvironment:
        """Return the WSGI environment with the headers as sent, which the signature covers."""
        return {**super().make_environ(), _HEADERS: self.headers}

    def handle_expect_100(self) -> bool:
        """Answer `Expect: 100-continue` at once: boto3 waits up to a second for it before it sends an object."""
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()
        del self.headers["Expect"]  # werkzeug would answer it again
        return True

    def log(self, *_: object) -> None:
        """Print nothing."""
