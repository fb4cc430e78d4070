"""The steps of a member's way through the studio, each as they do it: what is read, what is pressed."""

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.windows import Window

PASSWORD = "violet harbour seven lamps"
TRAINED_WITHIN_S = 120.0


def joins(window: Window, link: str, email: str) -> None:
    """By a one-time link: makes an account and is signed in."""
    window.open(link)
    window.fill("E-mail address", email)
    window.fill("New password", PASSWORD)
    window.press("Make the account")
    window.page.wait_for_url("**/")
    window.reads("First you read what happens with your photos.")


def signs_up(window: Window, email: str) -> None:
    """Where the studio is open: makes an account, then signs in with it."""
    window.open("/sign-up")
    window.fill("E-mail address", email)
    window.fill("Password", PASSWORD)
    window.press("Make the account")
    window.fill("E-mail address", email)
    window.fill("Password", PASSWORD)
    window.press("Sign in")
    window.reads("First you read what happens with your photos.")


def agrees(window: Window) -> None:
    """Reads what happens with photos, and agrees."""
    window.press("Begin", "link")
    window.press("I agree")
    window.reads("Your photos")


def adds(window: Window, files: list[Path], within_s: float = 120) -> None:
    """Chooses photos, and sees each of them accepted."""
    with window.page.expect_file_chooser() as chosen:
        window.page.get_by_text("Choose photos").click()
    chosen.value.set_files([str(each) for each in files])
    accepted = window.page.locator("#coming .state.good")
    expect(accepted).to_have_count(len(files), timeout=within_s * 1000)
    expect(window.page.locator("#photos img")).to_have_count(len(files))


def trains(window: Window) -> None:
    """Begins a training, and sees that it runs."""
    window.press("Train your model", "link")
    window.press(re.compile("^Train with "))
    window.reads("Cancel the training")


def sees_it_ready(window: Window, within_s: float = TRAINED_WITHIN_S) -> None:
    """Without a reload, the page comes to say that the model is in use."""
    window.reads(re.compile("is in use"), within_s)


def signs_in(window: Window, email: str) -> None:
    """With address and password."""
    window.open("/sign-in")
    window.fill("E-mail address", email)
    window.fill("Password", PASSWORD)
    window.press("Sign in")
    window.page.wait_for_url("**/")


def asks(window: Window, words: str, within_s: float = 60) -> None:
    """Three pictures of these words come by themselves."""
    window.open("/pictures")
    window.fill("Your idea, in words", words)
    window.press("Make three pictures")
    expect(window.pictures).to_have_count(3, timeout=within_s * 1000)


def erases_everything(window: Window, within_s: float = 60) -> None:
    """Erases the account, and reads in the receipt, signed out, that all of it is done."""
    window.open("/account/erase")
    window.page.get_by_label("I am sure", exact=False).check()
    if window.page.get_by_label("Your password").count():
        window.fill("Your password", PASSWORD)
    window.press("Erase everything")
    window.reads("Everything is erased", within_s)
    expect(window.page.locator(".mark.deleted").first).to_be_visible()
    window.page.reload()  # its address is enough
    window.reads("Everything is erased")
    window.open("/")
    window.reads("Sign in")


def hearts(window: Window, count: int = 1) -> None:
    """Saves so many of the newest pictures."""
    for number in range(count):
        window.press("Save to the gallery")
        expect(window.named("Saved to the gallery")).to_have_count(number + 1)
