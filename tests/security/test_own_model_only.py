"""No request names a model, weights or a locked parameter, and the database says by itself what the validator says:
each constraint is tried in raw SQL, as the superuser, whom no policy holds.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.fakes.schemas import trained_version_schema
from tests.security.conftest import FullTemplate
from tests.security.full_members import settings_for
from tests.security.routes import routes_of

from portraitist.kit.embedded_postgres import Server
from portraitist.studio import app
from portraitist.studio.architecture import HYPERPARAMETERS, LockedParameters
from portraitist.studio.generation.endpoints import GenerationIn

Conn = psycopg.Connection[tuple[Any, ...]]
LOCKED = (
    {field.name for field in fields(LockedParameters)}
    | set(HYPERPARAMETERS)
    | set(trained_version_schema()["components"]["schemas"]["Input"]["properties"])
    | {
        "model",
        "model_id",
        "weights",
        "replicate_model_id",
        "replicate_version_id",
        "trigger_word",
        "destination",
    }
    | {"model_version_id", "trainer", "lora", "lora_url", "hf_lora", "extra_lora", "input_images"}
) - {"prompt"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return app.create(settings_for(tmp_path_factory.mktemp("home"), "postgresql://nowhere/x"))


def bodies(web: FastAPI) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model of a request's body."""
    for context in iter_route_contexts(web.routes):
        for parameter in getattr(getattr(context, "dependant", None), "body_params", ()):
            model = parameter.field_info.annotation
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield f"{context.methods} {context.path}", model


def test_no_route_has_a_parameter_for_a_model_weights_or_a_locked_value(web: FastAPI) -> None:
    for route in routes_of(web):
        named = {name for _, name in route.parameters} & LOCKED
        assert named == set(), f"{route.method} {route.path} takes {named}"


def test_every_body_refuses_what_it_does_not_know(web: FastAPI) -> None:
    found = list(bodies(web))
    assert len(found) > 5
    for where, model in found:
        assert model.model_config.get("extra") == "forbid", where


@given(
    st.sampled_from(sorted(LOCKED)) | st.text(min_size=1),
    st.none() | st.booleans() | st.integers() | st.text(),
)
def test_a_generation_takes_words_and_nothing_else(name: str, value: object) -> None:
    if name != "prompt":
        with pytest.raises(ValidationError):
            GenerationIn.model_validate({"prompt": "by the sea", name: value})


BROKEN: dict[str, tuple[str, type[psycopg.Error]]] = {
    "half a model": (
        "update user_models set replicate_version_id = null where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "null:null beside an active version": (
        "update user_models set replicate_model_id = null, replicate_version_id = null where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "another member's active version": (
        """update user_models m set active_version_id = v.id, replicate_model_id = v.replicate_model_id,
               replicate_version_id = v.replicate_version_id
           from model_versions v where m.user_id = %(me)s and v.user_id = %(them)s""",
        psycopg.errors.ForeignKeyViolation,
    ),
    "an active version under another name": (
        "update user_models set replicate_version_id = repeat('b', 64) where user_id = %(me)s",
        psycopg.errors.ForeignKeyViolation,
    ),
    "another member's trigger word": (
        "update trainings set trigger_word = 'user' || %(them)s where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "another member's destination": (
        "update trainings set destination = 'studio/' || %(them)s || '-selfie-lora' where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a destination without an owner": (
        "update trainings set destination = user_id || '-selfie-lora' where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a model in the namespace of another account": (
        """insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
               next_check_at, created_at)
           select user_id, gen_random_uuid(), 'canceled', account_id, trigger_word,
               'stranger/' || user_id || '-selfie-lora', trainer, '{}', now(), now()
           from trainings where user_id = %(me)s limit 1""",
        psycopg.errors.ForeignKeyViolation,
    ),
    "a version of another member's model": (
        "update model_versions set replicate_model_id = 'studio/' || %(them)s || '-selfie-lora' where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a version that is no digest": (
        "update model_versions set replicate_version_id = 'latest' where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a version at another account than its training": (
        "update model_versions set account_id = 'elsewhere' where user_id = %(me)s",
        psycopg.errors.ForeignKeyViolation,
    ),
    "a version of somebody's training": (
        """update model_versions v set training_id = t.id from trainings t where v.id = (
                   select id from model_versions where user_id = %(me)s limit 1)
               and t.user_id = %(them)s and not exists (select from model_versions o where o.training_id = t.id)""",
        psycopg.errors.ForeignKeyViolation,
    ),
    "a generation with another member's version": (
        """update generation_trackers g set model_version_id = v.id from model_versions v
           where g.user_id = %(me)s and v.user_id = %(them)s""",
        psycopg.errors.ForeignKeyViolation,
    ),
    "a generation without a version": (
        "update generation_trackers set model_version_id = null where user_id = %(me)s",
        psycopg.errors.NotNullViolation,
    ),
    "a generation where its version does not live": (
        "update generation_trackers set account_id = 'elsewhere' where user_id = %(me)s",
        psycopg.errors.ForeignKeyViolation,
    ),
    "a prompt with another member's trigger word": (
        "update generation_trackers set prompt = 'user' || %(them)s || ' by the sea' where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a seed out of range": (
        "update generation_trackers set seed = 1000000 where user_id = %(me)s",
        psycopg.errors.CheckViolation,
    ),
    "a member's id that is none": (
        "insert into users (id, handle, subject_word, created_at) values ('null', 'x', 'person', now())",
        psycopg.errors.CheckViolation,
    ),
}


@pytest.fixture(scope="module")
def superuser(postgres: Server, full_template: FullTemplate) -> Iterator[Conn]:
    """On the template itself: nothing here is ever kept."""
    with psycopg.connect(postgres.url(full_template.database)) as conn:
        conn.execute(
            "insert into provider_accounts (id, base_url, username, created_at) values "
            "('elsewhere', 'https://x', 'studio', now())"
        )
        conn.execute(
            """insert into trainings (user_id, id, status, account_id, trigger_word, destination, trainer, requested,
                   next_check_at, created_at)
               select user_id, gen_random_uuid(), 'canceled', account_id, trigger_word, destination, trainer, '{}',
                   now(), now() from trainings where user_id = %s limit 1""",
            (full_template.members[1].id,),
        )
        yield conn
        conn.rollback()


@pytest.mark.parametrize("what", BROKEN)
def test_the_database_refuses_by_itself(superuser: Conn, full_template: FullTemplate, what: str) -> None:
    statement, refusal = BROKEN[what]
    me, them = (member.id for member in full_template.members)
    with pytest.raises(refusal), superuser.transaction():
        superuser.execute(statement.encode(), {"me": me, "them": them} if "%(" in statement else None)
